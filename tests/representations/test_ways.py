"""A CPU's way through a transform and that of other devices lead to the same values."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch

from earmark.representations import buffers, build
from earmark.representations.base import check_wave
from earmark.representations.buffers import as_on_a_gpu, suits_cpu

SMALL = {
    "scattering": {"T": 1024},
    "cqt": {},
    "mel": {},
    "waveform": {},
    "joint": {
        "frames": 20,
        "parts": {"m": {"kind": "mel", "pooling": "mean-std"}, "s": {"kind": "scattering", "T": 1024}},
    },
}


@pytest.fixture(params=SMALL)
def transform(request):
    return build(request.param, rate=16_000, n_samples=30_000, **SMALL[request.param])


@pytest.mark.parametrize("clips", [1, 9])
def test_either_way_leads_to_the_same_values(transform, clips):
    x = 0.1 * torch.randn(clips, 30_000, generator=torch.Generator().manual_seed(0))
    expected = transform(x)
    with as_on_a_gpu():
        found = transform(x)
    assert (found - expected).norm() <= 1e-6 * expected.norm()


def test_the_way_of_other_devices_takes_nothing_that_is_a_cpus(transform, monkeypatch):
    """All clips at once, on no threads, by torch alone: SciPy and NumPy see no tensor of a GPU."""

    def refuse(*_, **__):
        raise AssertionError("taken on a GPU, too")

    monkeypatch.setattr(scipy.fft, "rfft", refuse)
    monkeypatch.setattr(np, "abs", refuse)
    monkeypatch.setattr(torch.Tensor, "numpy", refuse)
    monkeypatch.setattr(buffers, "ThreadPoolExecutor", refuse)
    parts = []
    chunk = getattr(transform, "_chunk", None) or getattr(getattr(transform, "transform", None), "_chunk", None)
    if chunk is not None:
        owner = chunk.__self__
        monkeypatch.setattr(owner, "_chunk", lambda wave, *more: (parts.append(len(wave)), chunk(wave, *more)))
    with as_on_a_gpu():
        transform.compute(torch.zeros(20, 30_000))
    assert parts == ([20] if chunk is not None else [])


def test_every_tensor_moves_with_the_transform(transform):
    """Torch's device without memory refuses whatever meets a tensor of the CPU, and NumPy."""
    out = transform.to("meta").compute(torch.zeros(3, 30_000, device="meta"))
    assert out.device.type == "meta"
    assert out.shape == (3, transform.n_frames, transform.n_dims)


def test_the_way_ends_with_its_block_after_an_error_too():
    x = torch.zeros(1)
    assert suits_cpu(x)
    with as_on_a_gpu():
        assert not suits_cpu(x)
    with pytest.raises(ValueError, match="must be"), as_on_a_gpu():
        check_wave(x, 1)
    assert suits_cpu(x)
    assert not suits_cpu(x.to("meta"))
