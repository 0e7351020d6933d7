"""A model as a graph gives the probabilities that it gives here, in a runtime that knows nothing of earmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.encoders import saved as write_saved
from helpers.families import SMALL, model

from earmark import representations
from earmark.config import RepresentationConfig
from earmark.evaluation import scoring
from earmark.features.standardize import Standardizer
from earmark.models import networks
from earmark.models.saved import SavedModel
from earmark.storage import provenance
from earmark.travel import graphs, scorer

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
WAVES = {"sample_cnn", "harmonic_cnn"}
NOT_WRITTEN = {"harmonic_cnn": "STFT"}


def test_every_family_is_tried_or_its_reason_is_known():
    own = set(provenance.plugins("models")) - {"layers"}
    assert own == set(SMALL) | set(NOT_WRITTEN)


@pytest.mark.parametrize("family", SMALL)
def test_onnxruntime_gives_what_torch_gives(family, tmp_path):
    saved = model(family, *SMALL[family])
    assert graphs.to_onnx(saved, tmp_path / "x.onnx") <= 1e-4
    features = graphs.example(saved, wave=False)
    standardised = (features - torch.from_numpy(saved.standardizer.mean)) * torch.from_numpy(
        saved.standardizer.inverse_std
    )
    expected = scoring.score_saved(saved, standardised)  # what evaluate and predict call
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    (found,) = session.run(["probabilities"], {"features": features.numpy()})
    assert found.shape == (3, 4)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("options", [{"cell": "lstm"}, {"cell": "bn-lstm"}, {"cell": "gru-paper"}])
def test_every_cell_is_written(options, tmp_path):
    saved = model("recurrent", 6, 7, options | {"layers": 2, "units": 8})
    assert graphs.to_onnx(saved, tmp_path / "x.onnx") <= 1e-4


def test_classes_are_a_softmax(tmp_path):
    saved = replace(model("linear", 8, 7, {}), exclusive=True)
    graphs.to_onnx(saved, tmp_path / "x.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    (found,) = session.run(None, {"features": graphs.example(saved, wave=False).numpy()})
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)


def test_a_family_that_cannot_be_written_says_why(tmp_path, capfd):
    saved = model("harmonic_cnn", 81_000, 1, {})
    with pytest.raises(graphs.ExportError, match=r"family 'harmonic_cnn' uses what ONNX has no operator for .*STFT"):
        graphs.to_onnx(saved, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()
    assert capfd.readouterr().out == ""


@pytest.fixture
def hears_mel(tmp_path) -> SavedModel:
    """A small network on mel, as a file holds it."""
    write_saved(tmp_path / "m.safetensors", layers=1, units=8, cell="gru")
    return SavedModel.load(tmp_path / "m.safetensors")


def test_a_wave_goes_in_and_tags_come_out(hears_mel, tmp_path):
    graphs.to_onnx(hears_mel, tmp_path / "x.onnx", wave=True)
    wave = graphs.example(hears_mel, wave=True)
    (found,) = onnxruntime.InferenceSession(tmp_path / "x.onnx").run(None, {"wave": wave.numpy()})
    features = representations.of(hears_mel.representation)(wave)
    fitted = hears_mel.standardizer
    standardised = (features - torch.from_numpy(fitted.mean)) * torch.from_numpy(fitted.inverse_std)
    np.testing.assert_allclose(found, scoring.score_saved(hears_mel, standardised), atol=1e-4)


@pytest.mark.parametrize(
    "options", [{}, {"compression": "log10p"}, {"log_amplitude": False}, {"n_fft": 511, "hop": 300}, {"hop": 700}]
)
def test_the_front_end_of_onnx_is_mel(options):
    mel = representations.of(RepresentationConfig(kind="mel", rate=16_000, samples=9_000, **{"n_mels": 24, **options}))
    wave = 0.1 * torch.randn(2, 9_000, generator=torch.Generator().manual_seed(1))
    found, expected = scorer.PlainMel(mel)(wave), mel(wave)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=2e-4, atol=2e-3)


def test_only_mel_has_a_front_end_in_onnx(hears_mel, tmp_path):
    other = replace(hears_mel, representation=RepresentationConfig(kind="cqt", rate=16_000, samples=28_000))
    with pytest.raises(graphs.EarmarkError, match=r"hears cqt, and only mel .* by --torch"):
        graphs.to_onnx(other, tmp_path / "x.onnx", wave=True)


def test_scattering_and_a_gru_are_one_program_of_torch(hears_mel, tmp_path, monkeypatch):
    heard = representations.resolve(RepresentationConfig(kind="scattering", rate=16_000, samples=512, T=64, Q=[1, 1]))
    transform = representations.of(heard)
    network = networks.network("recurrent", 5, transform.n_frames, transform.n_dims, hears_mel.network["options"])
    dims = transform.n_dims
    saved = replace(
        hears_mel, representation=heard, frames=transform.n_frames, dims=dims, network_frames=transform.n_frames,
        standardizer=Standardizer(np.zeros(dims, np.float32), np.ones(dims, np.float32), 3),
        training={"excerpt_frames": transform.n_frames, "excerpts": 1}, weights=network.state_dict(),
    )  # fmt: skip
    seen = []
    plain = torch.export.load
    monkeypatch.setattr(torch.export, "load", lambda file: seen.append(plain(file)) or seen[-1])
    assert graphs.to_torch(saved, tmp_path / "x.pt2") <= 1e-4
    wave = graphs.example(saved, wave=True) / 2
    found = seen[0].module()(wave).detach().numpy()
    np.testing.assert_allclose(found, scoring.score_saved(saved, transform(wave)), atol=1e-4)
    assert (tmp_path / "x.pt2").stat().st_size > 1000


def test_a_graph_that_gives_other_values_is_not_written(hears_mel, tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "_run", lambda *given: np.full((len(given[2]), 5), 0.9, np.float32))
    with pytest.raises(graphs.ExportError, match="differ from torch's by 0"):
        graphs.to_onnx(hears_mel, tmp_path / "x.onnx")
    assert not list(Path(tmp_path).glob("*.onnx"))
