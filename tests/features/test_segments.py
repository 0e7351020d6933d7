"""A file that comes in blocks has the segments of the whole file, and little of it is held."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.config import WaveformConfig
from earmark.decode.audio import REMAINDER, cut
from earmark.features import segments as module
from earmark.features.segments import Wave, segments

CLIP, KEPT = 100, 90
POLICIES = {
    "pad": {"policy": "pad"}, "center": {"policy": "center"}, "segments": {"policy": "segments"},
    "three": {"policy": "segments", "segments": 3}, "thirty": {"policy": "segments", "segments": 30},
}  # fmt: skip
LENGTHS = [1, 89, 90, 99, 100, 109, 110, 111, 299, 310, 311, 800, 809, 811, 900, 1600, 1611, 2345]


def blocks_of(wave, seed):
    """Cut a wave into blocks of any length; some are empty, as those of a resampler are."""
    places = np.sort(np.random.default_rng(seed).integers(0, len(wave) + 1, 9))
    return lambda: iter(np.split(wave, places))


def expected(wave, clip):
    """Segments as they were cut of a whole file before there were blocks."""
    if clip.policy != "segments" and len(wave) > (1 + REMAINDER) * clip.samples:
        return cut(wave, KEPT, "segments")
    return cut(wave, clip.samples, clip.policy, clip.segments)[:, :KEPT]


@pytest.mark.parametrize("held", [1 << 24, 250])
@pytest.mark.parametrize("policy", POLICIES)
def test_segments_and_where_they_begin_are_those_of_the_whole_file(policy, held, monkeypatch):
    monkeypatch.setattr(module, "_HELD", held)
    clip = WaveformConfig(samples=CLIP, **POLICIES[policy])
    for length in LENGTHS:
        wave = np.arange(1, length + 1, dtype=np.float32)
        found = list(segments(blocks_of(wave, length), clip, KEPT, 8))
        waves = np.concatenate([part for _, part in found])
        np.testing.assert_array_equal(waves, expected(wave, clip), err_msg=str(length))
        starts = np.concatenate([places for places, _ in found])
        if length >= CLIP:
            np.testing.assert_array_equal(starts + 1, waves[:, 0])
        else:
            assert not starts.any()
        assert {len(part) for _, part in found[:-1]} <= {8}
        assert all(len(places) == len(part) for places, part in found)


@pytest.mark.parametrize("policy", POLICIES)
def test_of_a_long_file_little_is_held_and_all_is_gone_through(policy, monkeypatch):
    monkeypatch.setattr(module, "_HELD", 2000)
    most, came = [0], []

    def endless():
        for number in range(2000):
            most.append(max(len(wave._held) for wave in waves))
            yield np.full(77, number, np.float32)
        came.append(True)

    waves, real = [], Wave.__init__
    monkeypatch.setattr(Wave, "__init__", lambda self, blocks: (waves.append(self), real(self, blocks))[1])
    count = sum(len(part) for _, part in segments(endless, WaveformConfig(samples=CLIP, **POLICIES[policy]), KEPT, 8))
    assert count == {"pad": 1712, "center": 1712, "segments": 1540, "three": 3, "thirty": 30}[policy]
    assert max(most) <= (2100 if policy in ("three", "thirty") else 1100)
    assert came  # so that what comes after the last sample is known: a file may be too short, or incomplete


def test_a_wave_tells_what_it_has_and_forgets():
    wave = Wave(iter([np.arange(10), np.arange(10, 20), np.arange(20, 25)]))
    assert wave.has(5)
    assert wave.length == 10
    wave.forget(15)  # none of which has come
    assert wave.has(20)
    assert wave.part(15, 18).tolist() == [15, 16, 17]
    assert not wave.has(26)
    assert wave.part(22, 99).tolist() == [22, 23, 24]
    assert wave.part(30, 40).tolist() == []
    assert wave.length == wave.to_the_end() == 25
