"""The transforms for one's own code compute what the pipeline computes, for any leading dimensions."""

from __future__ import annotations

import copy
import inspect

import numpy as np
import pytest
import torch

from earmark import representations, transforms
from earmark.config import RepresentationConfig

N = 20_000
PUBLIC = (transforms.Scattering, transforms.Mel, transforms.CQT)
OPTIONS = {"scattering": {"T": 1024}, "mel": {"n_mels": 40}, "cqt": {"bins": 60}}


def waves(*leading: int) -> torch.Tensor:
    return 0.1 * torch.randn(*leading, N, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("transform", PUBLIC)
def test_the_values_are_the_pipelines_to_the_last_bit(transform):
    options = OPTIONS[transform.kind]
    wave = waves(2, 3)
    ours = transform(n_samples=N, **options)
    config = RepresentationConfig(kind=transform.kind, rate=16_000, samples=N, **options)
    pipelines = representations.of(config)
    features = pipelines(wave.view(6, N)).view(2, 3, pipelines.n_frames, pipelines.n_dims)
    found = ours(wave)
    assert torch.equal(found, features.transpose(2, 3))
    assert found.dtype == torch.float32
    assert found.shape == (2, 3, ours.n_dims, ours.n_frames)
    for leading in ((), (1,), (2, 1, 1, 1)):
        some = waves(*leading)
        assert torch.equal(ours(some).flatten(), ours(some.view(-1, N)).flatten())
        assert ours(some).shape == (*leading, ours.n_dims, ours.n_frames)
    assert ours(waves(0, 2)).shape == (0, 2, ours.n_dims, ours.n_frames)
    assert np.array_equal(ours.hz, pipelines.axes["hz"])
    assert ours.axes["seconds_per_frame"] == pipelines.axes["seconds_per_frame"]


@pytest.mark.parametrize("transform", PUBLIC)
def test_the_signature_tells_the_options_and_their_defaults(transform):
    found = inspect.signature(transform).parameters
    options = representations.options(transform.kind)
    assert list(found) == ["n_samples", "rate", *options]
    assert found["rate"].default == 16_000
    assert {key: p.default for key, p in options.items()} == {key: found[key].default for key in options}
    assert "rare" not in str(inspect.signature(transform))
    assert all(key in (transform.__doc__ or "") for key in options)


def test_another_rate_is_another_transform():
    low, high = (transforms.Mel(N, rate) for rate in (12_000, 16_000))
    assert (low.rate, high.rate) == (12_000, 16_000)
    assert low.hz[-1] < high.hz[-1]


def test_a_copy_computes_the_same_and_moves_as_any_module():
    mel, wave = transforms.Mel(N), waves()
    assert torch.equal(copy.deepcopy(mel)(wave), mel(wave))
    assert mel.to("meta").representation.window.device.type == "meta"


@pytest.mark.parametrize(
    ("wave", "told"),
    [
        (torch.zeros(2, 3, N - 1), r"wave must be \(batch, 20000\), got \(6, 19999\)"),
        (torch.zeros(()), r"wave must be \(batch, 20000\), got \(1, 1\)"),
        (torch.full((2, N), torch.nan), "wave must be finite, but clip 0"),
    ],
)
def test_a_wave_that_does_not_fit_is_refused(wave, told):
    with pytest.raises(ValueError, match=told):
        transforms.Mel(N)(wave)


@pytest.mark.parametrize(
    ("options", "told"),
    [({"hops": 3}, "got an unexpected keyword argument 'hops'"), ({"hop": 0}, "hop must be at least 1, got 0")],
)
def test_a_wrong_option_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        transforms.Mel(N, **options)
