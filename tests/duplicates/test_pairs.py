"""One recording under two names is found whatever was done to it, and different recordings are not taken for one."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from helpers.melodies import COPIES, RATE, melody

from earmark.duplicates import fingerprint, pairs
from earmark.duplicates.fingerprint import Fingerprint

SONGS = 40


def heard(wave: np.ndarray) -> Fingerprint:
    return fingerprint.of_wave(soxr.resample(wave.astype(np.float32), RATE, fingerprint.RATE))


@pytest.fixture(scope="module")
def originals() -> list[Fingerprint]:
    return [heard(melody(seed)) for seed in range(SONGS)]


def names(count: int) -> list[str]:
    return [f"song {number}" for number in range(count)]


def test_different_recordings_are_no_pairs(originals):
    assert pairs.matches(originals, names(SONGS)) == []


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found_and_nothing_else(originals, kind):
    copies = [heard(COPIES[kind](melody(seed))) for seed in (3, 11, 29)]
    found = pairs.matches([*originals, *copies], names(SONGS + 3))
    assert {(match.first, match.second) for match in found} == {(3, SONGS), (11, SONGS + 1), (29, SONGS + 2)}


def test_where_the_second_file_begins_is_told_and_the_nearest_pair_comes_first(originals):
    later, cut = heard(melody(5)[2 * RATE :]), heard(COPIES["7 s of it, as MP3"](melody(6)))
    first, second = pairs.matches([*originals, cut, later], names(SONGS + 2))
    assert (first.first, first.second, second.first) == (5, SONGS + 1, 6)
    assert first.distance < second.distance < pairs.SUSPECT
    step = fingerprint.HOP / fingerprint.RATE
    assert first.seconds == pytest.approx(2, abs=step)
    assert second.seconds == pytest.approx(3, abs=1.5 * step)


@pytest.mark.parametrize(("shared", "found"), [(3, 0), (8, 1)])
def test_two_files_must_have_six_seconds_in_common(shared, found):
    first = melody(1)
    second = np.concatenate([first[-shared * RATE :], melody(2, 12 - shared)])
    matches = pairs.matches([heard(first), heard(second)], names(2))
    assert [round(match.seconds) for match in matches] == [12 - shared] * found


def test_clips_of_one_song_are_no_pairs_and_hide_no_copy_in_another_one(originals):
    same = [heard(melody(7)[shift:]) for shift in range(0, 40_000, 4_000)]
    songs = [*names(SONGS), *["song 7"] * len(same), "another name"]
    found = pairs.matches([*originals, *same, heard(melody(7)[1_000:])], songs)
    assert {match.second for match in found} == {SONGS + len(same)}
    assert found[0].distance < 0.1


def test_what_cannot_be_heard_is_no_pair(originals):
    silent, short = heard(np.zeros(12 * RATE)), heard(melody(1, 2.0))
    assert len(silent.windows) == len(short.windows) == 0
    prints = [None, silent, silent, short, short, originals[0], None]
    assert pairs.matches(prints, names(7)) == []
    assert pairs.matches([], []) == []
    assert pairs.windows_compared(prints) == pairs.QUERIES


def test_the_number_of_windows_that_are_compared_is_told(originals):
    told: list[int] = []
    pairs.matches(originals[:5], names(5), told.append)
    assert sum(told) == pairs.windows_compared(originals[:5]) == 5 * pairs.QUERIES


def test_what_is_found_does_not_depend_on_the_size_of_a_block(originals, monkeypatch):
    copies = [heard(COPIES["darker"](melody(seed))) for seed in (3, 11)]
    whole = pairs.matches([*originals, *copies], names(SONGS + 2))
    monkeypatch.setattr(pairs, "_BLOCK", 7)
    assert pairs.matches([*originals, *copies], names(SONGS + 2)) == whole
    assert len(whole) == 2
