"""A kind of representation is one file, and its `build` alone says which options it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from helpers import ROOT

from earmark import representations
from earmark.config import ConfigError
from earmark.features import extract
from earmark.representations import build
from earmark.storage import provenance
from earmark.training import validation

NEW = """
from __future__ import annotations

from typing import Literal

import numpy as np
from earmark.representations.base import Representation, require

class Loudness(Representation):
    def __init__(self, *, rate: int, n_samples: int, hop: int = 10, shape: Literal["mean", "peak"] = "mean", **others):
        super().__init__("loudness", rate, n_samples)
        require(hop > 0, "loudness", "hop", "be positive", hop)
        self.hop, self.n_frames, self.n_dims, self.bytes_per_clip = hop, n_samples // hop, 1, 1
        self.axes = {"hz": np.zeros(1), "seconds_per_frame": hop / rate}

    def compute(self, wave):
        return wave.abs().unfold(1, self.hop, self.hop).mean(2, keepdim=True)

build = Loudness
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose modules count as modules of the package."""
    own, plugins = tmp_path / "representations", provenance.plugins
    own.mkdir()

    def those_and_ours(folder):
        found = plugins(folder)
        if folder == own.name:
            with monkeypatch.context() as elsewhere:
                elsewhere.setattr(provenance, "PACKAGE", tmp_path)
                found = sorted([*found, *plugins(folder)])
        return found

    monkeypatch.setattr(provenance, "plugins", those_and_ours)
    monkeypatch.setattr(representations, "__path__", [*representations.__path__, str(own)])
    yield own
    for name in [name for name in sys.modules if name.startswith("earmark.representations.extra")]:
        del sys.modules[name]


def test_the_kinds_are_the_files_that_build_and_helpers_are_none():
    kinds = representations.kinds()
    assert {"cqt", "mel", "scattering", "waveform"} <= set(kinds)
    assert not {"base", "buffers", "spectrum"} & set(kinds)
    assert list(kinds) == sorted(kinds)


def test_a_new_file_is_a_new_kind_without_a_line_elsewhere(folder):
    before = representations.kinds()
    (folder / "extra_loudness.py").write_text(NEW)
    (folder / "extra_helper.py").write_text("class A:\n    def build(self): ...\n")
    (folder / "extra_packed").mkdir()
    (folder / "extra_packed" / "__init__.py").write_text("def build(**_):\n    return 'packed'\n")
    assert representations.kinds() == tuple(sorted([*before, "extra_loudness", "extra_packed"]))
    transform = build("extra_loudness", rate=100, n_samples=40, hop=20)
    assert transform(torch.ones(2, 40)).tolist() == [[[1], [1]]] * 2
    assert build("extra_packed", rate=1, n_samples=1) == "packed"
    with pytest.raises(ValueError, match=r"^representations\.quiet\.hop must be positive, got 0$"):
        build("extra_loudness", rate=100, n_samples=40, hop=0, name="quiet")


def settings(tmp_path, **options):
    """The project's params.yaml with one representation of the new kind."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    own = {"kind": "extra_loudness", "rate": 16_000, "samples": 400} | options
    content |= {"representations": {"quiet": own}, "experiments": {}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "params.yaml"


def test_the_options_of_a_new_kind_are_settings_without_a_line_elsewhere(folder):
    (folder / "extra_loudness.py").write_text(NEW)
    found = validation.load(settings(folder)).representations["quiet"]
    assert found.options() == {"hop": 10, "shape": "mean"}
    assert representations.of(found)(torch.ones(1, 400)).shape == (1, 40, 1)
    assert validation.load(settings(folder, hop="20", shape="peak")).representations["quiet"].options()["hop"] == 20


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hops": 20}, "unknown key representations.quiet.hops, got 20: extra_loudness takes hop, shape"),
        ({"hop": "x"}, "representations.quiet.hop: input should be a valid integer"),
        ({"shape": "round"}, "representations.quiet.shape: input should be 'mean' or 'peak', got 'round'"),
        ({"hop": 0}, "representations.quiet.hop must be positive, got 0"),
        ({"kind": "extra"}, "representations.quiet.kind: must be one of cqt, .*extra_loudness, .*mel, .*, got 'extra'"),
    ],
)
def test_a_wrong_option_of_a_new_kind_is_refused_with_those_that_it_takes(folder, options, told):
    (folder / "extra_loudness.py").write_text(NEW)
    with pytest.raises(ConfigError, match=rf"params\.yaml: {told}"):
        validation.judge(settings(folder, **options), folder / "settings")
    assert not (folder / "settings").exists()


@pytest.mark.parametrize("hop", [256, 1024])
def test_settings_with_gaps_between_frames_can_be_used_and_are_told(tmp_path, capsys, hop):
    file = settings(tmp_path, kind="mel", samples=16_000, hop=hop)
    validation.judge(file, tmp_path / "settings")
    validation.require(validation.load(file))
    told = "warning: representations.quiet: hop leaves gaps between frames; 50.4 % of the samples lie in none\n"
    assert capsys.readouterr().err == 2 * told * (hop == 1024)


def test_the_orders_that_scattering_standardises_are_stored_only_if_they_are_set(tmp_path):
    stored = validation.load(settings(tmp_path, kind="scattering", samples=16_000)).representations["quiet"]
    assert "standardize" not in stored.model_dump()
    file = settings(tmp_path, kind="scattering", samples=16_000, normalization="song", standardize=[0])
    stored = validation.load(file).representations["quiet"]
    assert stored.model_dump(mode="json")["standardize"] == [0]
    assert representations.of(stored).axes["standardized"].sum() == 1


@pytest.mark.parametrize("kind", ["chroma", "base", "spectrum", "__init__", "../mel", ""])
def test_what_is_no_kind_is_refused_with_those_that_are(kind):
    with pytest.raises(ValueError, match=f"representation kind must be one of cqt, .*mel, .*waveform, got '{kind}'"):
        build(kind, rate=16_000, n_samples=100)
    with pytest.raises(ValueError, match=r"^representations\.x\.kind must be one of cqt, .*mel"):
        build(kind, rate=16_000, n_samples=100, name="x")


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("mel", {"n_mels": 0}, "n_mels must be at least 1, got 0"),
        ("mel", {"rate": 0}, "rate must be positive, got 0"),
        ("cqt", {"hop": 0}, "hop must be at least 1, got 0"),
        ("scattering", {"bank": "x"}, "bank must be scatnet or kymatio, got 'x'"),
        ("scattering", {"normalization": "x"}, "normalization must be one of"),
        ("waveform", {"n_samples": 0}, "n_samples must be positive, got 0"),
    ],
)
def test_an_option_out_of_its_limits_is_named_by_its_entry_or_else_by_the_kind(kind, options, message):
    settings = {"rate": 16_000, "n_samples": 20_000} | options
    with pytest.raises(ValueError, match=rf"^representations\.of-mine\.{message}"):
        build(kind, name="of-mine", **settings)
    with pytest.raises(ValueError, match=rf"^representations\.{kind}\.{message}"):
        build(kind, **settings)


def test_an_option_that_there_is_not_is_named_by_its_entry():
    with pytest.raises(ValueError, match=r"^representations\.of-mine: got an unexpected keyword argument 'hops'"):
        build("mel", rate=16_000, n_samples=20_000, name="of-mine", hops=4)


def test_the_kinds_are_known_without_torch():
    code = (
        "import sys; from earmark.representations import kinds as k; sys.exit(len(k()) < 4 or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("kind", representations.kinds())
def test_a_worker_tells_the_code_of_the_kind_though_no_import_names_it(kind):
    settings = SimpleNamespace(kind=kind, options=lambda: {"parts": {}})
    assert extract.about(settings)[0] == provenance.digest(f"features-{kind}")
    own = {name for name in provenance.sources(f"features-{kind}") if name.startswith("representations/")}
    of_kinds = {Path(name).parts[1].removesuffix(".py") for name in own} & set(representations.kinds())
    assert of_kinds == (set(representations.kinds()) if kind in ("encoder", "joint") else {kind})  # they bring others


def test_waveform_is_the_identity():
    wave = torch.randn(2, 100)
    same = build("waveform", rate=16_000, n_samples=100)
    assert torch.equal(same(wave)[..., 0], wave)
    assert (same.n_frames, same.n_dims) == (100, 1)
