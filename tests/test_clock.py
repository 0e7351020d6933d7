"""What is stale is told by contents: a clock that was wrong makes nothing current, and nothing stale."""

from __future__ import annotations

import os

import numpy as np
import pytest
import soundfile
from helpers.tiny_corpora import RATE, Tiny

PAST, FUTURE = 315_532_800, 4_102_444_800  # the years 1980 and 2100


def set_times(folder, seconds):
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (seconds, seconds))


def states(folder):
    """Which files these are: one that was written anew has another inode, or another time."""
    return {path: (path.stat().st_ino, path.stat().st_mtime) for path in folder.rglob("*.h5")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    tiny = Tiny(tmp_path_factory.mktemp("tiny"))
    tiny.settings["corpus"]["shard_clips"] = 4
    tiny.stages()
    return tiny


@pytest.mark.parametrize("seconds", [PAST, FUTURE])
def test_files_of_another_time_stay_as_they_are(made, seconds, capsys):
    set_times(made.folder, seconds)
    before = states(made.folder)
    assert len(before) > 4
    made.stages()
    assert states(made.folder) == before
    assert f"decode {RATE} Hz: 0 clips" in capsys.readouterr().out


@pytest.mark.parametrize("seconds", [PAST, FUTURE])
def test_music_that_changed_is_decoded_whatever_its_time_says(made, seconds):
    path = made.audio / "f/0.wav"
    set_times(made.folder, seconds)
    wave, rate = soundfile.read(path)
    size = path.stat().st_size
    soundfile.write(path, np.roll(wave, 100 + seconds % 7), rate)
    os.utime(path, (seconds, seconds))  # as old as before, and of the same size
    assert path.stat().st_size == size
    before = states(made.folder / "made/mel")
    made.stages()
    after = states(made.folder / "made/mel")
    assert sum(after[name] != before[name] for name in before) == 1
