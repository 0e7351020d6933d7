from __future__ import annotations

import pytest
import soundfile as sf
from conftest import ROOT, tone

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


def test_doctor_says_which_device_is_not_there_and_goes_on(capsys, monkeypatch):
    monkeypatch.setenv("EARMARK_DEVICE", "gpu")
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "device            error: EARMARK_DEVICE must be cpu, cuda, cuda:N or mps, got 'gpu'" in shown
    assert "demo corpus" in shown
