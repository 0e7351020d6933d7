"""What the doctor says of Python, the packages, the device and the decoder."""

from __future__ import annotations

import platform

import pytest
import soundfile
import torch

from earmark.doctor import machine
from earmark.errors import EarmarkError


def by_name(lines):
    return {line.name: line for line in lines}


def test_the_packages_are_named_with_their_versions_and_kymatio_with_scipy():
    found = by_name(machine.packages())
    assert found["dvc"].text == machine.version("dvc")
    assert {found[name].state for name in machine.SHOWN} == {"ok"}
    assert "kymatio" in found
    assert f"with scipy {machine.version('scipy')}" in found["kymatio"].text
    assert found["kymatio"].state != "error"  # the pipeline does not need it


def test_a_kymatio_that_scipy_has_left_behind_is_a_warning_with_what_to_install(monkeypatch):
    def refuse(_):
        raise ImportError("cannot import name 'sph_harm' from 'scipy.special' (/somewhere)")

    monkeypatch.setattr(machine.importlib, "import_module", refuse)
    line = by_name(machine.packages())["kymatio"]
    assert line.state == "warning"
    assert "(cannot import name 'sph_harm' from 'scipy.special')" in line.text
    assert "scipy<" in line.mend


def test_a_package_that_is_absent_stops_the_pipeline_and_those_of_the_demo_do_not(monkeypatch):
    real = machine.version
    monkeypatch.setattr(machine, "version", lambda name: None if name in ("dvc", "music21") else real(name))
    found = by_name(machine.packages())
    assert (found["dvc"].state, found["dvc"].mend) == ("error", "pip install dvc")
    assert (found["demo corpus"].state, found["demo corpus"].text) == ("warning", "needs music21")


@pytest.mark.parametrize(("version", "state"), [((3, 12, 1), "ok"), ((3, 10, 0), "warning"), ((3, 99, 0), "warning")])
def test_a_python_that_is_not_tested_is_a_warning(monkeypatch, version, state):
    monkeypatch.setattr(machine.sys, "version_info", version)
    monkeypatch.setattr(platform, "python_version", lambda: "X")
    (line,) = machine.python()
    assert line.state == state


def test_little_memory_is_a_warning(monkeypatch):
    monkeypatch.setattr(machine.devices, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(machine.devices, "free_bytes", lambda _: machine.LITTLE - 1)
    line = by_name(machine.device())["device"]
    assert line.state == "warning"
    assert "2.1 GB free of" in line.text


def test_a_device_that_is_not_here_is_an_error_after_torch(monkeypatch):
    monkeypatch.setenv("EARMARK_DEVICE", "gpu")
    lines = machine.device()
    assert next(lines).name == "torch"
    with pytest.raises(EarmarkError, match="EARMARK_DEVICE must be cpu"):
        next(lines)


def test_a_decoder_without_mp3_stops_the_pipeline(monkeypatch):
    assert by_name(machine.decoder())["decoder"].state == "ok"
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "WAV"})
    line = by_name(machine.decoder())["decoder"]
    assert line.state == "error"
    assert soundfile.__libsndfile_version__ in line.text
    assert "pip install -U soundfile" in line.mend
