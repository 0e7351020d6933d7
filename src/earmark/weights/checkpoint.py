"""A TensorFlow V2 checkpoint as arrays by name, without TensorFlow.

A checkpoint is two files. `.data-00000-of-00001` holds the values of all tensors, one after the other. `.index` says
where: it is a table of LevelDB (sorted keys, prefix-compressed, in blocks, each with a CRC-32C), whose keys are the
names of the tensors and whose values are protocol buffers, BundleEntryProto: 1 type, 2 shape, 4 offset, 5 size. The key
"" holds a header. Both formats are documented with their sources: LevelDB's doc/table_format.md, and TensorFlow's
core/protobuf/tensor_bundle.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.errors import EarmarkError

INDEX, DATA = ".index", ".data-00000-of-00001"
FLOAT32 = 1  # TensorFlow's number of the type
_MAGIC, _FOOTER = 0xDB4775248B80FB57, 48  # the end of every LevelDB table, bytes
_TRAILER = 5  # bytes after a block: 0 for "not compressed", and its CRC
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers


class File(NamedTuple):
    """The content of a file, and what errors call it."""

    name: str
    content: bytes


class _DamageError(Exception):
    """What shows that an index is no index, or not what was written."""


def read(index: File, data: File) -> dict[str, NDArray[np.float32]]:
    """Return the float32 tensors of a checkpoint by name, in the order of their names.

    The index is verified by its own CRCs. The values are not: whoever knows what they should be compares a digest.

    Raises EarmarkError if the index is damaged or something else, if a tensor has another type, if the checkpoint is
    in several parts, or if the data file is shorter than the index says.
    """
    try:
        entries = {key.decode(): _fields(value) for key, value in _table(index.content) if key}
        return {name: _tensor(name, fields, data) for name, fields in entries.items()}
    except (_DamageError, IndexError, struct.error, UnicodeDecodeError) as error:
        raise EarmarkError(
            f"{index.name} must be the index of a TensorFlow checkpoint, but is none, or damaged: {error}; fetch it "
            "again"
        ) from None


def _tensor(name: str, fields: dict[int, list[int | bytes]], data: File) -> NDArray[np.float32]:
    """Return the values of an entry of the index."""
    number, part, offset, size = (_whole(fields, key) for key in (1, 3, 4, 5))
    if number != FLOAT32:
        raise EarmarkError(f"{data.name}: the tensor {name} must be float32 (type {FLOAT32}), got type {number}")
    if part:
        raise EarmarkError(f"{data.name}: the tensor {name} lies in part {part}: only checkpoints in one part are read")
    shapes = fields.get(2, [b""])
    dims = [_fields(dim) for dim in _fields(_text(shapes[0])).get(2, []) if isinstance(dim, bytes)]
    shape = tuple(_whole(dim, 1) for dim in dims)
    values = 1
    for length in shape:
        values *= length
    if 4 * values != size:
        raise _DamageError(f"the tensor {name} of shape {shape} cannot take {size} bytes")
    if offset + size > len(data.content):
        raise EarmarkError(
            f"{data.name} must reach to byte {offset + size}, where the tensor {name} ends, got {len(data.content)} "
            "bytes: the file was cut short"
        )
    raw = np.frombuffer(data.content, "<f4", values, offset)
    return raw.reshape(shape).astype(np.float32)


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a LevelDB table."""
    if len(content) < _FOOTER or struct.unpack("<Q", content[-8:])[0] != _MAGIC:
        raise _DamageError("it does not end as a table of LevelDB")
    footer, at = content[-_FOOTER:], 0
    for _ in range(2):  # the place of the metadata, which are empty
        _, at = _varint(footer, at)
    for _, handle in _block(content, *_handle(footer[at:])):
        yield from _block(content, *_handle(handle))


def _handle(raw: bytes) -> tuple[int, int]:
    """Return the offset and size of a block."""
    offset, at = _varint(raw, 0)
    return offset, _varint(raw, at)[0]


def _block(content: bytes, offset: int, size: int) -> list[tuple[bytes, bytes]]:
    """Return the keys and values of a block; a key says how many bytes it shares with the one before."""
    block, trailer = content[offset : offset + size], content[offset + size : offset + size + _TRAILER]
    if len(trailer) < _TRAILER:
        raise _DamageError(f"a block of {size} bytes at {offset} ends after the file")
    if trailer[0]:
        raise _DamageError(f"the block at byte {offset} is compressed (kind {trailer[0]}), which TensorFlow never does")
    if struct.unpack("<I", trailer[1:])[0] != _masked(crc32c(block + trailer[:1])):
        raise _DamageError(f"the block at byte {offset} does not have its checksum")
    end = size - 4 - 4 * struct.unpack("<I", block[-4:])[0]  # before the restart points, which a full read needs not
    at, key, found = 0, b"", []
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        found.append((key, block[at + own : at + own + length]))
        at += own + length
    return found


def _fields(message: bytes) -> dict[int, list[int | bytes]]:
    """Return the values of a protocol buffer by the numbers of their fields."""
    found: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = divmod(tag, 8)
        value: int | bytes
        if wire == _VARINT:
            value, at = _varint(message, at)
        elif wire in (_BYTES, _FIXED32, _FIXED64):
            size, at = _varint(message, at) if wire == _BYTES else (4 if wire == _FIXED32 else 8, at)
            value, at = message[at : at + size], at + size
        else:
            raise _DamageError(f"a field of wire type {wire}")
        if at > len(message):
            raise _DamageError("a field that ends after its entry")
        found.setdefault(number, []).append(value)
    return found


def _whole(fields: dict[int, list[int | bytes]], number: int) -> int:
    """Return a field that is a number, 0 if it is absent."""
    value = fields.get(number, [0])[-1]
    if not isinstance(value, int):
        raise _DamageError(f"field {number} of an entry is no number")
    return value


def _text(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise _DamageError("the shape of an entry is a number")
    return value


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, seven bits per byte with the least first, and the place after it."""
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise _DamageError(f"a number of more than 64 bits at byte {at}")


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


def crc32c(content: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _masked(crc: int) -> int:
    """Return a CRC as LevelDB stores it, so that it is no CRC of its own bytes."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
