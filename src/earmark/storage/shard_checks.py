"""What an HDF5 file may hold to be read as a shard: plain numbers and texts that lie in the file itself.

HDF5 can do more, and a file may come from anybody: a link or external storage shows another file of this machine under
the name of a data set, a virtual data set gathers such files, a filter or a compound type runs code that nothing here
needs, and a declared size may be a thousand times that of the file. Checksums do not help against who can compute them.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from earmark.storage.checksums import BLOCK, DamageError, Seal

OBJECTS = 1_000  # a shard has some ten
TEXTS = 10_000  # of variable length, in one data set
_DEEPEST = 2  # groups: the file itself and its axes
_ROWS = {"features": (np.float32, np.float16), "waveform": (np.int16, np.float32)}  # the types that each may have
_KINDS = "biufS"  # booleans, numbers, texts of a fixed length


def require_plain(file: h5py.File, size: int) -> None:
    """Raise DamageError if an open file of ``size`` bytes holds anything but plain data sets within its bytes.

    Only HDF5's own tables are read, no value.
    """
    _require_plain_group(file, size, 1, itertools.count(1))


def _require_plain_group(group: h5py.Group, size: int, depth: int, count: itertools.count[int]) -> None:
    _require_plain_attributes(group)
    for name in group:
        where = f"{group.name.rstrip('/')}/{name}"
        if next(count) > OBJECTS:
            raise DamageError(f"it holds more than {OBJECTS} data sets and groups")
        if not isinstance(link := group.get(name, getlink=True), h5py.HardLink):
            raise DamageError(f"{where} is no data set but a link ({type(link).__name__}), maybe to another file")
        kind = group.get(name, getclass=True)
        if kind is h5py.Dataset:
            _require_plain_data(group[name], where, size)
        elif kind is h5py.Group and depth < _DEEPEST:
            _require_plain_group(group[name], size, depth + 1, count)
        else:
            raise DamageError(f"{where} is neither a data set nor a group of such")


def _require_plain_data(data: h5py.Dataset, where: str, size: int) -> None:
    created = data.id.get_create_plist()
    if created.get_external_count() or data.is_virtual:
        raise DamageError(f"the values of {where} lie in another file")
    if created.get_layout() != h5py.h5d.CONTIGUOUS or created.get_nfilters():
        raise DamageError(f"{where} is compressed or in chunks, where rows of a shard lie one after the other")
    dtype = data.dtype
    texts = h5py.check_string_dtype(dtype) is not None and dtype.kind == "O"  # of any length
    if dtype.subdtype is not None or not (texts or dtype.kind in _KINDS):
        raise DamageError(f"{where} holds {dtype}, where numbers or texts are expected")
    declared = math.prod(data.shape or (0,)) * dtype.itemsize
    if texts and math.prod(data.shape) > TEXTS:
        raise DamageError(f"{where} declares {math.prod(data.shape)} texts, {TEXTS} at most are read")
    stored, offset = data.id.get_storage_size(), data.id.get_offset() or 0
    if declared > size or (stored < declared and not texts) or offset + stored > size:
        raise DamageError(f"{where} declares {declared} bytes, but the file of {size} has {stored} for it")
    _require_plain_attributes(data)


def _require_plain_attributes(item: h5py.Group | h5py.Dataset) -> None:
    for name in item.attrs:
        about = item.attrs.get_id(name)
        text = h5py.check_string_dtype(about.dtype) is not None
        if about.shape not in ((), (1,)) or not (text or np.dtype(about.dtype).kind in _KINDS):
            raise DamageError(f"its attribute {name!r} is no text: {about.dtype} of shape {about.shape}")


def require_rows(file: h5py.File, found: Seal) -> None:
    """Raise DamageError if the data sets do not fit each other, or if the seal covers other bytes than the rows."""
    name = next((name for name in _ROWS if name in file), None)
    if name is None or not {"clip_id", "crc32", "axes"} <= set(file):
        raise DamageError(f"it holds {', '.join(file) or 'nothing'}: rows, clip_id, crc32 or axes are missing")
    rows, ids, sums = file[name], file["clip_id"], file["crc32"]
    if rows.ndim < 2 or rows.dtype not in _ROWS[name] or (rows.dtype == np.float16) != ("centre" in file):
        raise DamageError(f"/{name} holds {rows.dtype} of shape {rows.shape}")
    if ids.shape != (len(rows),) or ids.dtype.kind != "S":
        raise DamageError(f"it has {len(rows)} rows and clip_id of shape {ids.shape}, {ids.dtype}: one text per row")
    if sums.shape != (-(-len(rows) // BLOCK),) or sums.dtype != np.uint32:
        raise DamageError(f"it has {len(rows)} rows and crc32 of shape {sums.shape}, {sums.dtype}")
    size = rows.dtype.itemsize * math.prod(rows.shape)
    if (
        found.size != size
        or (size and found.offset != rows.id.get_offset())
        or (size and found.row * len(rows) != size)
    ):
        raise DamageError("its seal covers other bytes than its rows")
    for vector in ("centre", "scale") if "centre" in file else ():
        if vector not in file or file[vector].shape != rows.shape[-1:] or file[vector].dtype != np.float32:
            raise DamageError(f"/{vector} must be {rows.shape[-1]} float32, one per dim")
    _require_each_once(ids[:].tolist())


def _require_each_once(ids: list[bytes]) -> None:
    """Raise DamageError if a clip is in a shard twice; the segments of a clip stand one after the other."""
    runs = [clip for clip, _ in itertools.groupby(ids)]
    if len(set(runs)) < len(runs):
        twice = next(clip for clip, count in Counter(runs).items() if count > 1)
        raise DamageError(f"clip {twice.decode(errors='replace')} stands in it twice")


def not_finite(clip_ids: Sequence[str], rows: NDArray[Any]) -> str:
    """Return which clip has values that are NaN or infinite, and how many, or nothing; rows: (clips, ...)."""
    if rows.dtype.kind != "f" or np.isfinite(rows).all():
        return ""
    bad = ~np.isfinite(rows.reshape(len(rows), -1))
    first = int(np.flatnonzero(bad.any(axis=1))[0])
    return f"{bad[first].sum()} of the {bad.shape[1]} values of clip {clip_ids[first]} are NaN or infinite"
