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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from earmark.storage import heaps
from earmark.storage.checksums import BLOCK, DamageError, Seal, verify_rest, verify_rows
from earmark.storage.hdf5_disk import Veiled

OBJECTS = 1_000  # a shard has some ten
TEXTS = 10_000  # of variable length, in one data set
_DEEPEST = 2  # groups: the file itself and its axes
_ROWS = {"features": (np.float32, np.float16), "waveform": (np.int16, np.float32)}  # the types that each may have
_KINDS = "biufS"  # booleans, numbers, texts of a fixed length
_LARGEST = np.finfo(np.float16).max


def verify(path: Path) -> None:
    """Compare all of a shard with its checksums, and what it holds with what a shard may hold.

    HDF5 sees no bytes but those that were looked at before, and reads every text here. So what it follows later leads
    nowhere else. Raises DamageError, an OSError if the file cannot be read, and any error that h5py has.
    """
    found = verify_rest(path)
    rows = range(found.offset, found.offset + found.size)
    heaps.require_finite(path, rows)
    with Veiled(path, rows) as veiled, h5py.File(veiled, "r") as file:
        _Plain(path.stat().st_size, rows).require(file)
        require_rows(file, found)
        dtype, ids, sums = (
            next(file[name] for name in _ROWS if name in file).dtype,
            file["clip_id"][:],
            file["crc32"][:],
        )
    shape = -1, found.row // dtype.itemsize
    verify_rows(path, found, sums, lambda row, rows: not_finite(ids[row:], np.frombuffer(rows, dtype).reshape(shape)))


def require_plain(file: h5py.File, size: int) -> None:
    """Raise DamageError if an open file of ``size`` bytes holds anything but plain data sets within its bytes.

    Only HDF5's own tables are read, and texts of any length.
    """
    heaps.require_finite(Path(file.filename))
    _Plain(size).require(file)


@dataclass
class _Plain:
    """What is demanded of a file of ``size`` bytes, and how much of it was met so far.

    rows: the bytes of its rows, over which nothing else may lie. texts: how many bytes of texts were read.
    """

    size: int
    rows: range = range(0)
    objects: int = 0
    texts: int = 0

    def require(self, file: h5py.File) -> None:
        """Raise DamageError if the file holds anything else."""
        if file.id.get_create_plist().get_sizes() != (8, 8):
            raise DamageError("its tables have places that are not of 8 bytes")
        self._group(file, 1)

    def _group(self, group: h5py.Group, depth: int) -> None:
        self._attributes(group)
        for name in group:
            where = f"{group.name.rstrip('/')}/{name}"
            self._count()
            if not isinstance(link := group.get(name, getlink=True), h5py.HardLink):
                raise DamageError(f"{where} is no data set but a link ({type(link).__name__}), maybe to another file")
            kind = group.get(name, getclass=True)
            if kind is h5py.Dataset:
                self._data(group[name], where)
            elif kind is h5py.Group and depth < _DEEPEST:
                self._group(group[name], depth + 1)
            else:
                raise DamageError(f"{where} is neither a data set nor a group of such")

    def _data(self, data: h5py.Dataset, where: str) -> None:
        created = data.id.get_create_plist()
        if created.get_external_count() or data.is_virtual:
            raise DamageError(f"the values of {where} lie in another file")
        if created.get_layout() != h5py.h5d.CONTIGUOUS or created.get_nfilters():
            raise DamageError(f"{where} is compressed or in chunks, where rows of a shard lie one after the other")
        dtype, shape = data.dtype, (0,) if data.shape is None else data.shape
        texts = h5py.check_string_dtype(dtype) is not None and dtype.kind == "O"  # of any length
        if dtype.subdtype is not None or not (texts or dtype.kind in _KINDS):
            raise DamageError(f"{where} holds {dtype}, where numbers or texts are expected")
        declared = math.prod(shape) * dtype.itemsize
        if texts and math.prod(shape) > TEXTS:
            raise DamageError(f"{where} declares {math.prod(shape)} texts, {TEXTS} at most are read")
        stored, offset = data.id.get_storage_size(), data.id.get_offset() or 0
        if declared > self.size or (stored < declared and not texts) or offset + stored > self.size:
            raise DamageError(f"{where} declares {declared} bytes, but the file of {self.size} has {stored} for it")
        if max(offset, self.rows.start) < min(offset + stored, self.rows.stop) and (
            range(offset, offset + stored) != self.rows
        ):
            raise DamageError(f"{where} lies over its rows")
        for place in np.ndindex(shape) if texts else ():
            self._read(data[place], where)
        self._attributes(data)

    def _attributes(self, item: h5py.Group | h5py.Dataset) -> None:
        for name in item.attrs:
            self._count()
            about = item.attrs.get_id(name)
            if about.shape != () or h5py.check_string_dtype(about.dtype) is None:
                raise DamageError(f"its attribute {name!r} is no text: {about.dtype} of shape {about.shape}")
            self._read(item.attrs[name], f"its attribute {name!r}")

    def _count(self) -> None:
        self.objects += 1
        if self.objects > OBJECTS:
            raise DamageError(f"it holds more than {OBJECTS} data sets, groups and attributes")

    def _read(self, text: str | bytes, where: str) -> None:
        """Take a text that was read. Many may be the same one in the file, and together fill the memory."""
        try:
            self.texts += len(text.encode() if isinstance(text, str) else text.decode())
        except UnicodeError:
            raise DamageError(f"{where} is not UTF-8") from None
        if self.texts > self.size:
            raise DamageError(f"its texts are longer than the file of {self.size} bytes")


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
    if file.get("axes", getclass=True) is not h5py.Group:
        raise DamageError("/axes is no group")
    if "centre" in file:
        _require_float16(file, rows.shape[-1])
    _require_ids(ids[:].tolist())


def _require_float16(file: h5py.File, dims: int) -> None:
    """Raise DamageError unless any float16 that is finite becomes a float32 that is finite (``float16.Float16``)."""
    for vector in ("centre", "scale"):
        if vector not in file or file[vector].shape != (dims,) or file[vector].dtype != np.float32:
            raise DamageError(f"/{vector} must be {dims} float32, one per dim")
    centre, scale = file["centre"][:], file["scale"][:]
    with np.errstate(over="ignore", invalid="ignore"):
        largest = np.abs(centre) + scale * np.float32(_LARGEST)
    if not (scale > 0).all() or not np.isfinite(largest).all():
        raise DamageError(
            f"/centre and /scale must be finite, and scale above 0, got centre from {centre.min()} to {centre.max()}, "
            f"scale from {scale.min()} to {scale.max()}"
        )


def _require_ids(ids: list[bytes]) -> None:
    """Raise DamageError if an id is not UTF-8, or a clip is in a shard twice; the segments of a clip stand together."""
    for clip in ids:
        try:
            clip.decode()
        except UnicodeDecodeError:
            raise DamageError(f"its clip_id {clip[:60]!r} is not UTF-8") from None
    runs = [clip for clip, _ in itertools.groupby(ids)]
    if len(set(runs)) < len(runs):
        twice = next(clip for clip, count in Counter(runs).items() if count > 1)
        raise DamageError(f"clip {twice.decode()} stands in it twice")


def not_finite(clip_ids: Sequence[str | bytes], rows: NDArray[Any]) -> str:
    """Return which clip has values that are NaN or infinite, and how many, or nothing; rows: (clips, ...)."""
    if rows.dtype.kind != "f" or _all_finite(rows):
        return ""
    bad = ~np.isfinite(rows.reshape(len(rows), -1))
    first = int(np.flatnonzero(bad.any(axis=1))[0])
    clip = clip_ids[first]
    told = clip.decode() if isinstance(clip, bytes) else clip
    return f"{bad[first].sum()} of the {bad.shape[1]} values of clip {told} are NaN or infinite"


def _all_finite(values: NDArray[Any]) -> bool:
    if values.dtype == np.float16:  # whose own isfinite is five times slower: it is so if all bits of the exponent are
        return bool((values.view(np.uint16) & 0x7FFF).max(initial=0) < 0x7C00)
    return bool(np.isfinite(values).all())
