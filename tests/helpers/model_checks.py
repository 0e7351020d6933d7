"""What every network must do, whatever its family; each check takes one that is small enough for a test."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import nn


def single_thread() -> Iterator[None]:
    """Body of a fixture: on tensors this small threads do little but wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def assert_scores(model: nn.Module, *shapes: tuple[int, int, int], n_tags: int) -> None:
    """Evaluation takes each (batch, frames, dims), scores clips independently, and repeats itself."""
    model.eval()
    with torch.no_grad():
        for shape in shapes:
            features = torch.randn(shape)
            scores = model(features)
            assert scores.shape == (shape[0], n_tags)
            assert torch.isfinite(scores).all()
            torch.testing.assert_close(model(features[:1]), scores[:1], rtol=1e-4, atol=1e-4)


def assert_gradients(model: nn.Module, shape: tuple[int, int, int], n_tags: int) -> None:
    """A training step reaches every trainable parameter."""
    torch.manual_seed(3)
    model.train()
    targets = (torch.rand(shape[0], n_tags) < 0.5).float()
    F.binary_cross_entropy_with_logits(model(torch.randn(shape)), targets).backward()
    absorbed = {  # a batch norm takes the mean out again: the gradient of these biases is zero but for rounding
        f"{name}.bias" for name, m in model.named_modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)
    }
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert name in absorbed or parameter.grad.abs().max() > 0, name


def assert_reloads(make: Callable[[], nn.Module], shape: tuple[int, int, int]) -> None:
    """Weights saved and loaded into another network give the same scores, after a training step too."""
    torch.manual_seed(4)
    features = torch.randn(shape)
    trained, other = make(), make()
    trained.train()
    trained(features).mean().backward()
    torch.optim.SGD(trained.parameters(), lr=0.1).step()
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        assert torch.equal(trained.eval()(features), other.eval()(features))


def auc_after_overfit(model: nn.Module, shape: tuple[int, int, int], steps: int, rate: float) -> float:
    """Train on eight clips of noise with three tags until they are ranked without an error; their macro ROC-AUC.

    ``steps``: training ends after ten times as many, whatever was learnt: how many it takes depends on the machine's
    rounding, whether it can be done at all does not.
    """
    torch.manual_seed(5)
    features = torch.randn(8, *shape[1:])
    targets = torch.tensor([[0, 1, 0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 0, 0, 1, 1], [1, 0, 0, 0, 0, 1, 0, 1]]).T.float()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    auc = 0.0
    for _ in range(10):
        model.train()
        for _ in range(steps):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(features), targets).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            auc = float(np.mean(roc_auc_score(targets.numpy(), model(features).numpy(), average=None)))
        if auc == 1.0:
            break
    return auc
