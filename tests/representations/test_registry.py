"""A kind of representation is a file of the package with a `build`."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from earmark import representations
from earmark.features import extract
from earmark.representations import build
from earmark.storage import provenance

NEW = """
import numpy as np
from earmark.representations.base import Representation, require

class Loudness(Representation):
    def __init__(self, *, rate, n_samples, hop=10):
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
    monkeypatch.setattr(representations, "__path__", [*representations.__path__, str(tmp_path)])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("earmark.representations.extra")]:
        del sys.modules[name]


def test_the_kinds_are_the_files_that_build_and_helpers_are_none():
    assert representations.KINDS == representations.kinds() == ("cqt", "mel", "scattering", "waveform")
    with pytest.raises(AttributeError, match="KIND'"):
        representations.KIND  # noqa: B018


def test_a_new_file_is_a_new_kind_without_a_line_elsewhere(folder):
    (folder / "extra_loudness.py").write_text(NEW)
    (folder / "extra_helper.py").write_text("class A:\n    def build(self): ...\n")
    (folder / "extra_packed").mkdir()
    (folder / "extra_packed" / "__init__.py").write_text("def build(**_):\n    return 'packed'\n")
    assert representations.KINDS == ("cqt", "extra_loudness", "extra_packed", "mel", "scattering", "waveform")
    transform = build("extra_loudness", rate=100, n_samples=40, hop=20)
    assert transform(torch.ones(2, 40)).tolist() == [[[1], [1]]] * 2
    assert build("extra_packed", rate=1, n_samples=1) == "packed"
    with pytest.raises(ValueError, match=r"^representations\.quiet\.hop must be positive, got 0$"):
        build("extra_loudness", rate=100, n_samples=40, hop=0, name="quiet")


@pytest.mark.parametrize("kind", ["chroma", "base", "spectrum", "__init__", "../mel", ""])
def test_what_is_no_kind_is_refused_with_those_that_are(kind):
    with pytest.raises(ValueError, match=f"representation kind must be one of cqt, mel, .*, waveform, got '{kind}'"):
        build(kind, rate=16_000, n_samples=100)
    with pytest.raises(ValueError, match=r"^representations\.x\.kind must be one of cqt, mel"):
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
    code = "import sys; from earmark.representations import KINDS; sys.exit('torch' in sys.modules or len(KINDS) != 4)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("kind", representations.KINDS)
def test_a_worker_tells_the_code_of_the_kind_though_no_import_names_it(kind):
    assert extract.about(kind)[0] == provenance.digest(f"features-{kind}")
    own = {name for name in provenance.sources(f"features-{kind}") if name.startswith("representations/")}
    assert own & {f"representations/{kind}.py", f"representations/{kind}/__init__.py"}
    assert not [name for name in own if name.split("/")[1].removesuffix(".py") in set(representations.KINDS) - {kind}]


def test_waveform_is_the_identity():
    wave = torch.randn(2, 100)
    same = build("waveform", rate=16_000, n_samples=100)
    assert torch.equal(same(wave)[..., 0], wave)
    assert (same.n_frames, same.n_dims) == (100, 1)
