"""The way through the frames of an MPEG file: many of one size at once are those that are found one by one."""

from __future__ import annotations

import io
from dataclasses import fields

import numpy as np
import pytest
import soundfile

from earmark.decode.bytes_of_file import FileBytes
from earmark.decode.mpeg import walk


def frames_of(content):
    found = walk.walk(FileBytes(io.BytesIO(content)))
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    return {name: one.tolist() if isinstance(one, np.ndarray) else one for name, one in values.items()}


@pytest.fixture(scope="module")
def steady():
    """Three seconds at a constant bit rate, and where the header of a frame in the middle stands."""
    file = io.BytesIO()
    noise = np.random.default_rng(1).standard_normal(48_000) / 8
    soundfile.write(file, noise, 16_000, format="MP3", bitrate_mode="CONSTANT", compression_level=0.9)
    content = file.getvalue()
    place = frames_of(content)["place"]
    assert len(place) > 60
    return content, place[len(place) // 2]


def damaged(steady, bit):
    content, place = steady
    changed = bytearray(content)
    changed[place + 3 - bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("bit", [None, *range(32)])
def test_frames_of_one_size_are_found_at_once_as_one_by_one(steady, bit, monkeypatch):
    content = steady[0] if bit is None else damaged(steady, bit)
    at_once = []
    plain = walk._Walk.steady
    monkeypatch.setattr(walk._Walk, "steady", lambda *given: at_once.append(plain(*given)) or at_once[-1])
    found = frames_of(content)
    assert len(at_once[0][0]) > 20
    monkeypatch.setattr(walk._Walk, "steady", lambda *_: ([], 0))
    assert found == frames_of(content)


def test_ones_behind_what_looks_like_a_header_of_free_format_are_not_looked_at_one_by_one(monkeypatch):
    """As in DTS, which is full of both."""
    reads, plain = [], FileBytes.at
    monkeypatch.setattr(FileBytes, "at", lambda *given: reads.append(given) or plain(*given))
    assert not frames_of(b"".join(b"\xff\xfa\x00\x40" + b"\xff" * (2000 + step**3) for step in range(20)))["place"]
    assert len(reads) < 1000
