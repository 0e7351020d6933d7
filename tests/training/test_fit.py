from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from earmark.config import ConfigError, ExperimentConfig
from earmark.corpus.labels import Labelled
from earmark.errors import EarmarkError
from earmark.evaluation.metrics import macro_roc_auc
from earmark.features.dataset import Split
from earmark.models import networks
from earmark.training import fit as training
from earmark.training.recipes import Recipe


class Small(nn.Module):
    """Two layers with dropout, so that random numbers matter."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))

    def forward(self, features):
        return self.net(features)


def split(clips=24, seed=0) -> Split:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(clips, 4, 3, generator=generator)
    targets = torch.stack([features.mean((1, 2)) > 0, features[:, 0, 0] > 0], 1).float()
    who = tuple(Labelled(str(i), f"song{i}", "artist", "train") for i in range(clips))
    return Split(features, targets, who, ("sum", "first"), 0)


RULE = Recipe("adam", 1e-2, "constant", batch=8, epochs=4, patience=4)


def fit(recipe=RULE, seed=5):
    torch.manual_seed(0)
    model = Small()
    curves, summary = training._fit_by_gradient(model, recipe, None, seed, split(), split(16, 1), None)
    return model, curves, summary


def states_equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, second, other = fit()[0], fit()[0], fit(seed=6)[0]
    assert states_equal(first, second)
    assert not states_equal(first, other)


def test_there_is_one_row_of_curves_per_epoch_and_the_best_weights_are_kept():
    model, curves, summary = fit()
    assert [row[0] for row in curves] == [0, 1, 2, 3]
    assert summary["epochs"] == 4
    aucs = [row[3] for row in curves]
    assert summary["valid_roc_auc"] == max(aucs)
    assert summary["best_epoch"] == aucs.index(max(aucs))
    valid = split(16, 1)
    model.eval()
    scores = model(valid.features).detach().double().numpy()
    assert macro_roc_auc(scores, valid.targets.numpy()) == pytest.approx(max(aucs), abs=1e-6)


def test_training_stops_when_nothing_gets_better():
    frozen = Recipe("sgd", 1e-12, "constant", batch=8, epochs=50, patience=3)
    assert fit(frozen)[2]["epochs"] == 4  # the first epoch, and three in vain


def test_the_two_level_rule_cuts_the_rate_and_goes_back_to_the_best_weights():
    wild = Recipe("sgd", 5.0, "two-level", batch=8, epochs=9, patience=2, decay=0.1, local_decay=0.01)
    rates = [row[4] for row in fit(wild)[1]]
    assert rates[0] == 5
    assert min(rates) <= 0.5
    assert rates == sorted(rates, reverse=True)


def test_a_model_of_another_family_is_refused():
    experiment = ExperimentConfig(representation="mel", model="crnn")
    with pytest.raises(ConfigError, match=r"experiments\.mel-2d-cnn\.model must be 'convolutional'.* got 'crnn'"):
        training.fit("mel-2d-cnn", experiment, split(), split(16, 1))


def test_an_unknown_system_is_refused_with_its_neighbours():
    experiment = ExperimentConfig(representation="mel", model="recurrent")
    with pytest.raises(ConfigError, match=r"got 'scat-5l-512h-gro'.*scat-5l-512h-gru"):
        training.fit("scat-5l-512h-gro", experiment, split(), split(16, 1))


def test_a_system_of_exclusive_classes_is_refused_as_an_experiment():
    experiment = ExperimentConfig(representation="mel", model="recurrent", epochs=1)
    with pytest.raises(ConfigError, match=r"^experiments\.mirex-5l-512h-lstm: .* its place is crossvalidations"):
        training.fit("mirex-5l-512h-lstm", experiment, split(), split(16, 1))


@pytest.mark.parametrize(("batch", "clips"), [(1, 40), (2, 41)])
def test_a_clip_alone_in_its_batch_is_refused_where_there_is_batch_norm(batch, clips):
    experiment = ExperimentConfig(representation="mel", model="convolutional", batch=batch, epochs=1)
    large = Split(torch.zeros(clips, 60, 48), torch.ones(clips, 2), (), ("a", "b"), 0)
    told = rf"^experiments\.mel-2d-cnn\.batch must leave 2 clips .*, got {batch} for {clips} training clips"
    with pytest.raises(ConfigError, match=told):
        training.fit("mel-2d-cnn", experiment, large, large)


def test_the_linear_baseline_is_fitted_without_epochs():
    fitted = training.fit("linear", ExperimentConfig(representation="mel", model="linear"), split(), split(16, 1))
    assert fitted.curves == []
    assert fitted.summary["parameters"] == networks.count_parameters(fitted.model) == 2 * 6 + 2


def test_blending_and_offsets_change_what_is_learnt_but_not_its_determinism():
    blended = Recipe("adam", 1e-2, "constant", batch=8, epochs=2, patience=4, mixup=0.5, jitter=0.3)
    plain = Recipe("adam", 1e-2, "constant", batch=8, epochs=2, patience=4)
    assert states_equal(fit(blended)[0], fit(blended)[0])
    assert not states_equal(fit(blended)[0], fit(plain)[0])


@pytest.mark.parametrize("exclusive", [False, True])
def test_training_that_diverges_is_stopped_with_the_epoch_the_rate_and_what_to_do(exclusive):
    """Steps of 1e30 bring weights to infinity, and these bring scores to NaN, in the first epoch."""
    experiment = ExperimentConfig(
        representation="mel", model="convolutional", system="mel-2d-cnn", preset="demo", learning_rate=1e30, epochs=3
    )
    train, valid = (
        replace(split(n), features=torch.randn(n, 64, 48), targets=torch.eye(2)[torch.arange(n) % 2]) for n in (24, 16)
    )
    section = "crossvalidations" if exclusive else "experiments"
    expected = rf"{section}\.x: training diverged in epoch \d: the \w+ loss is \w+ at a learning rate of \S+; a smaller"
    with pytest.raises(EarmarkError, match=expected):
        training.fit("x", experiment, train, valid, exclusive=exclusive)


def test_going_back_to_the_best_weights_the_two_level_rule_forgets_its_momentum(monkeypatch):
    """From the best weights a first step without momentum is -rate * gradient; stale momentum leads elsewhere."""
    wild = Recipe("sgd", 5.0, "two-level", batch=8, epochs=9, patience=2, decay=0.1, local_decay=0.01)
    kept = []
    judge = training.BestWeights.on_validation_epoch_end

    def watched(self, trainer, module):
        cuts = self._cuts
        judge(self, trainer, module)
        kept.append((self._cuts > cuts, len(trainer.optimizers[0].state)))

    monkeypatch.setattr(training.BestWeights, "on_validation_epoch_end", watched)
    fit(wild)
    assert any(cut for cut, _ in kept)
    assert all((size == 0) == cut for cut, size in kept)
