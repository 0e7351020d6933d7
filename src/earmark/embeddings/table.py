"""Files and their embeddings as one table: HDF5, NumPy's .npz or Parquet, written beside its place and renamed.

The same rows give the same bytes: no time stamps, attributes sorted, blocks of one size. HDF5 tables, which later runs
take over, have a checksum; those of earlier versions have none, and are read as they are.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from earmark.errors import EarmarkError
from earmark.files import beside
from earmark.storage import hdf5_disk
from earmark.storage.checksums import DamageError
from earmark.storage.shard_checks import require_plain

SUFFIXES = (".h5", ".npz", ".parquet")
_BLOCK = 1024  # rows that are written at one time
_KIND = "earmark embeddings 1"
_CHECKSUM = "checksum"  # of the rows and all other attributes


class Entry(NamedTuple):
    """One file and what was made of it.

    path: as it was named. source: what it was made of, the SHA-256 of the file, or the fingerprint of a shard. starts:
    of its segments in seconds. embedding: (segments, width), or (1, width) for the mean over them.
    """

    path: str
    source: str
    starts: NDArray[np.float64]
    embedding: NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """What a table is to hold.

    dtype: float32 or float16. path: bytes of the longest one. per_segment: whether a row is a segment, and not a file.
    """

    rows: int
    width: int
    dtype: str
    path: int
    per_segment: bool


Columns = dict[str, NDArray[Any]]
_TYPES = {"path": r"S\d+", "source": r"S\d+", "embedding": "f[24]", "start": "f8"}  # of NumPy; start may be absent


def require_format(out: Path) -> None:
    """Raise EarmarkError if the suffix of a file is none of SUFFIXES, or if what writes it is not installed."""
    if out.suffix not in SUFFIXES:
        raise EarmarkError(f"--out must end in one of {', '.join(SUFFIXES)}, got {str(out)!r}")
    if out.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise EarmarkError(f"{out} is written by pyarrow, which is not installed: `pip install 'earmark[parquet]'`")


def write(out: Path, shape: Shape, entries: Iterable[Entry], mark: Mapping[str, str]) -> None:
    """Write a table, complete or not at all; mark: what decides its values, which it keeps.

    Raises EarmarkError if it cannot be written, if a value is not finite, or if float16 cannot hold it.
    """
    writers = {".h5": _write_hdf5, ".npz": _write_npz, ".parquet": _write_parquet}
    with beside(out) as place:
        writers[out.suffix](place, shape, _blocks(out, shape, entries), {"kind": _KIND, **mark})


def _blocks(out: Path, shape: Shape, entries: Iterable[Entry]) -> Iterator[Columns]:
    """Yield the columns of up to _BLOCK rows at a time."""
    rows = (
        (entry.path, entry.source, start, embedding)
        for entry in entries
        for start, embedding in zip(entry.starts, entry.embedding, strict=True)
    )
    while some := list(islice(rows, _BLOCK)):
        paths, sources, starts, embeddings = zip(*some, strict=True)
        with np.errstate(over="ignore"):
            stored = np.stack(embeddings).astype(f"<f{np.dtype(shape.dtype).itemsize}")
        for path, given in zip(paths, embeddings, strict=True):
            if not np.isfinite(given).all():
                raise EarmarkError(f"{out}: the embedding of {path!r} has values that are NaN or infinite")
        if not np.isfinite(stored).all():
            largest = max(float(np.abs(one).max()) for one in embeddings)
            raise EarmarkError(f"{out}: float16 holds values up to 65504, got {largest:g}; leave --dtype out")
        columns: Columns = {
            "path": np.array([path.encode() for path in paths], f"S{shape.path}"),
            "source": np.array([source.encode() for source in sources], "S64"),
            "start": np.array(starts, "<f8"),
            "embedding": stored,
        }
        if not shape.per_segment:
            del columns["start"]
        yield columns


def _write_hdf5(place: Path, shape: Shape, blocks: Iterable[Columns], mark: Mapping[str, str]) -> None:
    with hdf5_disk.written(place) as file:
        first, sums = 0, _Sums()
        for block in blocks:
            sums.add(block)
            for name, values in block.items():
                text = values.dtype.kind == "S"
                dtype = h5py.string_dtype("utf-8", values.dtype.itemsize) if text else values.dtype
                if not first:
                    file.create_dataset(name, (shape.rows, *values.shape[1:]), dtype)
                file[name][first : first + len(values)] = values.astype(dtype)
            first += len(block["path"])
        about = {**mark, _CHECKSUM: sums.checksum(mark)}
        for key in sorted(about):
            file.attrs[key] = about[key]


class _Sums:
    """The checksum of a table, whose rows come a block at a time."""

    def __init__(self) -> None:
        self._columns = defaultdict[str, Any](hashlib.sha256)

    def add(self, block: Columns) -> None:
        for name, values in block.items():
            self._columns[name].update(values.tobytes())

    def checksum(self, mark: Mapping[str, str]) -> str:
        columns = {name: summary.hexdigest() for name, summary in self._columns.items()}
        return hashlib.sha256(json.dumps([dict(mark), columns], sort_keys=True).encode()).hexdigest()


def _write_npz(place: Path, _: Shape, blocks: Iterable[Columns], mark: Mapping[str, str]) -> None:
    """Write what ``numpy.load`` reads without a pickle; it is gathered in memory, as its reader will hold it."""
    held = list(blocks)
    columns: Any = {name: np.concatenate([block[name] for block in held]) for name in held[0]}
    columns["path"] = np.array([path.decode() for path in columns["path"]])
    columns["source"] = columns["source"].astype("U")
    with place.open("wb") as file:
        np.savez(file, about=np.array(json.dumps(dict(mark), sort_keys=True)), **columns)


def _write_parquet(place: Path, shape: Shape, blocks: Iterable[Columns], mark: Mapping[str, str]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    value = pa.float16() if shape.dtype == "float16" else pa.float32()
    types = {
        "path": pa.string(), "source": pa.string(), "start": pa.float64(), "embedding": pa.list_(value, shape.width),
    }  # fmt: skip
    if not shape.per_segment:
        del types["start"]
    schema = pa.schema(list(types.items()), metadata={key: mark[key] for key in sorted(mark)})
    with parquet.ParquetWriter(place, schema) as writer:
        for block in blocks:
            arrays = {name: _arrow(pa, values, types[name]) for name, values in block.items()}
            writer.write_table(pa.table(arrays, schema=schema))


def _arrow(pa: Any, values: NDArray[Any], kind: Any) -> Any:
    if values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), type=kind)
    return pa.array([text.decode() for text in values] if values.dtype.kind == "S" else values, kind)


def mark_of(path: Path) -> dict[str, str] | None:
    """Return the mark of an HDF5 table, None if there is no such file.

    Raises EarmarkError if it is something else: it is not to be written over.
    """
    if not path.exists():
        return None
    try:
        with hdf5_disk.ReadFile(path) as file:
            require_plain(file, path.stat().st_size)
            found = _about(file)
            if found.pop("kind", None) == _KIND and {"path", "source", "embedding"} <= set(file):
                found.pop(_CHECKSUM, None)
                return found
    except _UNREADABLE:
        pass
    raise EarmarkError(f"{path} is there already, and is no table of embeddings; delete it, or name another file")


def read(path: Path) -> Iterator[Entry]:
    """Yield the files of an HDF5 table, in the order of its rows, with float32 embeddings.

    Raises EarmarkError if it is not what was written.
    """
    try:
        with hdf5_disk.ReadFile(path) as file:
            require_plain(file, path.stat().st_size)
            _require_columns(file)
            _require_values(file)
            paths, sources = file["path"][:], file["source"][:]
            starts = file["start"][:] if "start" in file else np.zeros(len(paths))
            for first, last in pairwise(_edges(paths)):
                embedding = file["embedding"][first:last].astype(np.float32)
                yield Entry(paths[first].decode(), sources[first].decode(), starts[first:last], embedding)
    except _UNREADABLE as error:
        raise EarmarkError(f"{path} is damaged ({error}); delete it, and it is made again") from None


_UNREADABLE = (DamageError, OSError, KeyError, ValueError, RuntimeError)  # what h5py raises, too


def _about(file: h5py.File) -> dict[str, str]:
    return {key: str(value) for key, value in file.attrs.items()}


def _edges(paths: NDArray[np.bytes_]) -> list[int]:
    """Return where the rows of each file begin, and where the last ones end."""
    return [0, *(np.flatnonzero(paths[1:] != paths[:-1]) + 1).tolist(), len(paths)]


def _require_columns(file: h5py.File) -> None:
    """Raise DamageError if the columns of a table are not of one length, or of other types than ``write`` gives."""
    rows = file["path"].size if isinstance(file.get("path"), h5py.Dataset) else 0
    for name, dtype in _TYPES.items():
        if name == "start" and name not in file:
            continue
        data = file.get(name)
        if not isinstance(data, h5py.Dataset):
            raise DamageError(f"its column {name} is absent")
        fits = data.ndim == (2 if name == "embedding" else 1) and data.size and len(data) == rows
        if not fits or not re.fullmatch(dtype, data.dtype.str[1:]):
            raise DamageError(
                f"its column {name} holds {data.dtype} of shape {data.shape}, where {rows} rows are expected"
            )


def _require_values(file: h5py.File) -> None:
    """Raise DamageError if a value is not finite, if the checksum is another one, or if a file is in a table twice."""
    sums, names = _Sums(), [name for name in _TYPES if name in file]
    for first in range(0, len(file["path"]), _BLOCK):
        block = {name: file[name][first : first + _BLOCK] for name in names}
        sums.add(block)
        for name, values in block.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise DamageError(f"its column {name} has values that are NaN or infinite")
    about = _about(file)
    if about.pop(_CHECKSUM, None) not in (None, sums.checksum(about)):
        raise DamageError("its checksum is that of other rows")
    paths = file["path"][:]
    each = paths[_edges(paths)[:-1]] if "start" in file else paths  # the segments of a file stand side by side
    if len(np.unique(each)) < len(each):
        raise DamageError("a file stands in it twice")
