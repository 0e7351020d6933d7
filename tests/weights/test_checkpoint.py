"""Checkpoints of TensorFlow are read without it, and what is damaged or something else is refused in one line."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from helpers.checkpoints import block, checkpoint, field, table, trailer

from earmark.errors import EarmarkError
from earmark.weights.checkpoint import File, read

ARRAYS = {
    "conv2d/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 1, 4),
    "conv2d/bias": np.array([1.5, -2.0, np.pi], np.float32),
    "conv2d_1/bias": np.zeros((0,), np.float32),
    "power": np.array(0.9, np.float32),
} | {f"layer_{i}/weights/Adam": np.full(i, i, np.float32) for i in range(60)}  # of several blocks and restarts

ARRAYS_IN_ORDER = sorted(ARRAYS)


def opened(index, data):
    return read(File("w/.index", index), File("w/.data", data))


def test_every_tensor_comes_back_by_name_with_its_shape():
    found = opened(*checkpoint(ARRAYS))
    assert list(found) == ARRAYS_IN_ORDER
    for name, array in ARRAYS.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], array)
        assert found[name].shape == array.shape


def test_a_large_tensor_has_lengths_of_several_bytes():
    found = opened(*checkpoint({"a": np.ones(5, np.float32), "b": np.arange(70_000, dtype=np.float32)}))
    assert found["b"][-1] == 69_999


def test_any_flipped_bit_of_the_index_is_noticed():
    index, data = checkpoint(ARRAYS)
    drawn, unnoticed = random.Random(2019), []
    for bit in [*range(200), *(drawn.randrange(8 * len(index)) for _ in range(400))]:
        changed = bytearray(index)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = opened(bytes(changed), data)
        except EarmarkError:
            continue
        unnoticed.append(bit // 8)  # of the padding of the footer, or of the metadata, which nobody reads
        assert list(found) == ARRAYS_IN_ORDER
    assert all(place >= len(index) - 200 for place in unnoticed)


@pytest.mark.parametrize("length", [0, 1, 7, 47, 48, 100, -1, -48])
def test_an_index_that_is_cut_short_is_refused(length):
    index, data = checkpoint(ARRAYS)
    with pytest.raises(EarmarkError, match=r"w/\.index must be the index of a TensorFlow checkpoint.*fetch it again"):
        opened(index[:length], data)


def test_a_data_file_that_is_cut_short_is_named_with_the_tensor():
    index, data = checkpoint(ARRAYS)
    with pytest.raises(
        EarmarkError, match=r"w/\.data must reach to byte 108, where the tensor conv2d/kernel ends, got 50 bytes"
    ):
        opened(index, data[:50])


def test_what_is_not_float32_or_not_in_one_part_is_refused():
    with pytest.raises(EarmarkError, match=r"w/\.data: the tensor conv2d/bias must be float32 \(type 1\), got type 9"):
        opened(*checkpoint(ARRAYS, number=9))
    with pytest.raises(EarmarkError, match="lies in part 2: only checkpoints in one part are read"):
        opened(*checkpoint(ARRAYS, part=2))


THREE = field(2, field(1, 3))  # a shape


def compressed():
    made = block([(b"a", field(1, 1))])[:-5]
    return made + trailer(made, kind=1)


@pytest.mark.parametrize(
    ("index", "told"),
    [
        (table([(b"a", field(1, 1) + field(2, THREE) + field(5, 8))]), r"shape \(3,\) cannot take 8 bytes"),
        (table([(b"a", field(1, 1) + field(2, 7))]), "the shape of an entry is a number"),
        (table([(b"a", field(1, b"x"))]), "field 1 of an entry is no number"),
        (table([(b"a", b"\x0b")]), "a field of wire type 3"),
        (table([(b"a", b"\x0a\x7f")]), "a field that ends after its entry"),
        (table([(b"a", b"\x08" + b"\xff" * 11)]), "more than 64 bits"),
        (table([(b"\xff", field(1, 1))]), "utf-8"),
    ],
)  # fmt: skip
def test_right_checksums_do_not_make_an_index_of_anything(index, told):
    with pytest.raises(EarmarkError, match=told):
        opened(index, b"")


def test_a_compressed_block_is_refused():
    made = compressed()
    footer = (b"\0\0" + b"\0" + bytes([len(made) - 5])).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    with pytest.raises(EarmarkError, match="is compressed"):
        opened(made + footer, b"")
