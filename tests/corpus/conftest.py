"""Small corpora in the layouts of GTZAN and MTG-Jamendo."""

from __future__ import annotations

import pytest
from helpers.corpora import HEADER, write


@pytest.fixture
def gtzan(tmp_path):
    for name in ("blues/blues.00000.wav", "blues/blues.00001.au", "rock/rock.00000.mp3", "rock/notes.txt", "x.wav"):
        write(tmp_path / "audio" / name, "")
    return tmp_path / "audio"


@pytest.fixture
def metadata(tmp_path):
    lines = {
        "train": "track_0000214\tartist_000014\talbum_000031\t14/214.mp3\t124.6\tgenre---punkrock\tmood/theme---dark\n",
        "validation": "track_0000215\tartist_000015\talbum_000031\t15/215.mp3\t151.4\tinstrument---dark\n",
        "test": "track_0000216\tartist_000016\talbum_000031\t16/216.mp3\t234.9\tgenre---punkrock\tgenre---metal\n",
    }
    for name, line in lines.items():
        write(tmp_path / f"splits/split-2/autotagging_top50tags-{name}.tsv", HEADER + line)
    return tmp_path
