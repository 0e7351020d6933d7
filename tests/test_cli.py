from __future__ import annotations

import pytest
import soundfile as sf
from conftest import ROOT, tone
from small_data import fill

from earmark import waveform_store
from earmark.cli import main
from earmark.errors import EarmarkError, explained


def test_doctor_names_the_device_and_the_versions(capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "torch" in shown
    assert "EARMARK_DEVICE" in shown


def test_inspect_shows_the_file_and_every_representation_and_goes_on_after_a_broken_one(tmp_path, capsys):
    (tmp_path / "broken.mp3").write_bytes(b"")
    sf.write(tmp_path / "x.wav", tone(3, 440, 8000), 8000)
    files = [str(tmp_path / "broken.mp3"), str(tmp_path / "x.wav")]
    assert main(["inspect", "--params", str(ROOT / "params.yaml"), *files]) == 1
    shown = capsys.readouterr()
    assert "3.00 s, 8000 Hz, 1 channels, WAV" in shown.out
    assert "1813 frames x 96 dims" in shown.out
    assert "114 frames x 433 dims" in shown.out
    assert "broken.mp3" in shown.err


def test_an_error_that_the_user_can_mend_ends_with_exit_code_1_and_no_traceback(capsys):
    with pytest.raises(SystemExit) as stop, explained():
        raise EarmarkError("key x must be positive, got -1")
    assert stop.value.code == 1
    assert capsys.readouterr().err == "error: key x must be positive, got -1\n"


def test_other_errors_keep_their_traceback():
    with pytest.raises(KeyError), explained():
        raise KeyError("a bug")


def test_waveforms_are_counted_and_those_that_no_index_names_are_pruned(tmp_path, make_corpus, capsys, monkeypatch):
    monkeypatch.setenv("EARMARK_WAVEFORMS", str(tmp_path / "store"))
    place = fill(tmp_path, *make_corpus())
    old = waveform_store.place(tmp_path / "store", "0" * 64)
    old.parent.mkdir(exist_ok=True)
    old.write_bytes(b"of other settings")
    capsys.readouterr()

    def shown(*options):
        assert main(["waveforms", "--data", str(place.data), *options]) == 0
        return capsys.readouterr().out

    first = shown()
    assert f"{tmp_path / 'store'}: 5 shards, 0.0 GB (EARMARK_WAVEFORMS)" in first
    assert f"{place.data / 'waveforms/16000'}: 4 of 4 shards" in first
    assert "others: 1 shards" in first
    assert old.exists()
    assert "deleted 1 shards" in shown("--prune")
    assert not old.exists()
    assert "others: 0 shards" in shown()
    assert len(waveform_store.held(tmp_path / "store")) == 4
