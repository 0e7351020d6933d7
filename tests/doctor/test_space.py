"""How much the configured corpus will take is compared with what is free, per file system."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
import yaml
from helpers import ROOT
from helpers.small_data import RATE, fill

from earmark.config import load
from earmark.doctor import space


def configured(folder, **sections):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content |= {
        "representations": {"mel": {"kind": "mel", "rate": 16000, "samples": 464000, "hop": 256, "n_mels": 96}},
        "experiments": {},
    } | sections
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    return load(folder / "params.yaml")


WAVES = 576 * 465_984 * 2
MEL = 576 * 1813 * 96 * 4


@pytest.mark.parametrize("copied", [False, True])
def test_the_demo_needs_its_waveforms_and_its_features_once_or_twice(tmp_path, monkeypatch, copied):
    monkeypatch.setenv("EARMARK_WAVEFORMS", str(tmp_path / "store"))
    (line,) = space.disk(configured(tmp_path), tmp_path / "data", copied)
    assert f"576 clips need {(WAVES + MEL * (2 if copied else 1)) / 1e9:.1f} GB more" in line.text


@pytest.mark.parametrize(("free", "state"), [(2 * 10**9, "ok"), (10**9, "warning"), (5 * 10**8, "error")])
def test_too_little_space_stops_and_little_warns(tmp_path, monkeypatch, free, state):
    monkeypatch.setenv("EARMARK_WAVEFORMS", str(tmp_path / "store"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    (line,) = space.disk(configured(tmp_path), tmp_path / "data", copied=False)
    assert line.state == state
    assert bool(line.mend) is (state != "ok")


def test_a_corpus_that_is_not_there_yet_has_no_size(tmp_path):
    config = configured(tmp_path, corpus={"kind": "table", "audio": str(tmp_path / "music"), "annotations": "x.csv"})
    (line,) = space.disk(config, tmp_path / "data", copied=False)
    assert line.state == "ok"
    assert "is known once the corpus is there" in line.text
    (tmp_path / "music").mkdir()
    (tmp_path / "music/a.wav").write_bytes(b"")
    (line,) = space.disk(config, tmp_path / "data", copied=False)
    assert "; 1 clips need" in line.text


def test_what_is_there_already_is_not_counted_again(tmp_path, make_corpus, monkeypatch):
    monkeypatch.setenv("EARMARK_WAVEFORMS", str(tmp_path / "store"))
    place = fill(tmp_path, *make_corpus())
    config = place.config
    assert sum(size for _, size in space._to_write(config, place.data, 12, copied=True)) == 0
    shutil.rmtree(tmp_path / "store")
    (store, waves), (_, mel) = space._to_write(config, place.data, 12, copied=True)
    assert (store, mel) == (tmp_path / "store", 0)
    assert waves == 12 * config.waveforms[RATE].samples * 2
