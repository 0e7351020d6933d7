"""Shards that are not what settings, code and music would make are counted, with the reason."""

from __future__ import annotations

import shutil

import h5py
import pytest
from helpers.music import write_songs
from helpers.small_data import fill

from earmark.decode import waveform_store
from earmark.doctor import stale
from earmark.storage import provenance


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("filled")
        patch.setenv("EARMARK_WAVEFORMS", str(folder / "store"))
        return fill(folder, *write_songs(folder, 6, 2.0))


@pytest.fixture
def place(filled, tmp_path, monkeypatch):
    """A copy of its own, with a store of its own."""
    shutil.copytree(filled.folder, tmp_path / "copy")
    monkeypatch.setenv("EARMARK_WAVEFORMS", str(tmp_path / "copy/store"))
    return type(filled)(tmp_path / "copy", filled.audio)


def lines(place):
    return list(stale.shards(place.config, place.data))


def test_after_the_pipeline_all_are_up_to_date(place):
    waves, mel = lines(place)
    assert (waves.state, mel.state) == ("ok", "ok")
    assert waves.text.startswith("16000 Hz: 4 of 4 shards of waveforms are in ")
    assert mel.text == "mel: 4 of 4 shards are up to date"


def test_other_settings_of_a_representation_make_its_shards_stale(place):
    place.add("representations", mel={"kind": "mel", "rate": 16000, "samples": 28000, "n_mels": 25})
    waves, mel = lines(place)
    assert waves.state == "ok"
    assert (mel.state, mel.text) == ("warning", "mel: 0 of 4 shards are up to date; 4 of other settings")
    assert "dvc repro" in mel.mend


def test_other_settings_of_the_waveforms_are_told(place):
    place.add("waveforms", **{"16000": {"samples": 29000}})
    waves, _ = lines(place)
    assert waves.state == "warning"
    assert waves.text.endswith(", of other settings")


def test_other_code_is_told(place, monkeypatch):
    monkeypatch.setattr(provenance, "digest", lambda consumer: f"other {consumer}")
    waves, mel = lines(place)
    assert waves.text.endswith(", of other code")
    assert mel.text.endswith("; 4 of other code")


def test_what_is_absent_damaged_or_left_over_is_counted(place):
    folder = place.data / "features/mel"
    first, second, third, _ = sorted(folder.glob("*.h5"))
    first.unlink()
    second.write_bytes(b"no shard")
    with h5py.File(third, "r+") as file:
        file.attrs["waveforms"] = "0" * 64
    (folder / ".x.h5.host-1.tmp").write_bytes(b"")
    shutil.copy(third, folder / "gone.h5")
    _, mel = lines(place)
    assert mel.text == (
        "mel: 1 of 4 shards are up to date; 1 damaged; 1 not there; 1 of other waveforms; "
        "1 of no folder of the corpus; 1 left by a killed run"
    )


def test_waveforms_that_the_store_lacks_are_no_trouble(place):
    store = waveform_store.root(place.data / "waveforms/16000")
    for path in waveform_store.held(store).values():
        path.unlink()
    waves, mel = lines(place)
    assert (waves.state, mel.state) == ("ok", "ok")
    assert "0 of 4 shards" in waves.text


def test_a_project_that_has_not_run_has_no_lines(place):
    shutil.rmtree(place.data)
    assert lines(place) == []
