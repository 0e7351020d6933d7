"""What a corpus will take on the disk is known before anything is decoded, and what does not fit is not begun."""

from __future__ import annotations

import shutil
from collections import namedtuple

import pytest
from helpers.features import MEL, extract
from helpers.tiny_corpora import RATE, Tiny

from earmark.cli import main
from earmark.config import load
from earmark.errors import EarmarkError
from earmark.features import room_needed
from earmark.storage import room

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def full(monkeypatch):
    """A disk with so many bytes left, which a test says."""

    def leave(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12 - free, free))

    return leave


def test_features_that_do_not_fit_are_refused_with_both_figures_before_the_first(waveforms, tmp_path, full):
    needed = 12 * (1 + MEL["samples"] // MEL["hop"]) * MEL["n_mels"] * 4
    full(needed - 1)
    words = room.in_words(needed)
    with pytest.raises(EarmarkError, match=rf"features mel, 12 clips: {words} are needed in .*mel, .* are free there"):
        extract(waveforms, tmp_path / "mel", MEL)
    assert not (tmp_path / "mel").exists()
    full(needed)
    assert extract(waveforms, tmp_path / "mel", MEL)["computed"] == 12
    full(0)  # what is replaced is room
    assert extract(waveforms, tmp_path / "mel", MEL)["computed"] == 0
    assert extract(waveforms, tmp_path / "mel", MEL | {"n_mels": 39})["computed"] == 12


def test_waveforms_that_do_not_fit_are_refused_before_the_first(tmp_path, full, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = Tiny(tmp_path)
    full(12 * 1_600 * 2 - 1)
    with pytest.raises(EarmarkError, match=rf"decode {RATE} Hz, 12 clips: 38.4 kB are needed in .*earmark-waveforms"):
        tiny.stages()
    assert not list(tmp_path.rglob("*.h5"))


def test_a_check_of_the_corpus_tells_the_sizes_and_what_would_not_fit(tmp_path, full, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tiny = Tiny(tmp_path)
    tiny.write_settings()
    full(1_000)
    assert main(["corpus", "check", "--params", str(tiny.params)]) == 1
    told = capsys.readouterr().out
    assert f"decode@{RATE} 38.4 kB, features@mel 10.0 kB; free: 1.0 kB" in told
    assert "stops the pipeline: 48.4 kB are needed on the disk of " in told
    full(10**9)
    main(["corpus", "check", "--params", str(tiny.params)])
    assert "are needed on the disk" not in capsys.readouterr().out


def test_what_is_there_is_not_needed_again(tmp_path):
    tiny = Tiny(tmp_path)
    tiny.write_settings()
    config, usable = load(tiny.params), {RATE: ["a", "b"]}
    decode, features = room_needed.needs(config, usable, tmp_path / "data")
    assert (decode.missing, features.missing) == (2 * 1_600 * 2, 2 * 26 * 8 * 4)
    (tmp_path / "data/features/mel").mkdir(parents=True)
    (tmp_path / "data/features/mel/f.h5").write_bytes(b"x" * 2_000)
    assert room_needed.needs(config, usable, tmp_path / "data")[1].missing == 0
