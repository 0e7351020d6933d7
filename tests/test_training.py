from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from earmark import systems, training
from earmark.config import ConfigError, ExperimentConfig
from earmark.dataset import Split
from earmark.evaluation import macro_roc_auc
from earmark.labels import Labelled
from earmark.schedules import Rule


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


RULE = Rule("adam", 1e-2, "constant", batch=8, epochs=4, patience=4)


def fit(rule=RULE, checkpoints=None, seed=5):
    torch.manual_seed(0)
    model = Small()
    curves, summary = training._fit_by_gradient(model, rule, None, seed, split(), split(16, 1), checkpoints)
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


def test_a_killed_run_goes_on_bit_by_bit(tmp_path, monkeypatch):
    undisturbed = fit()
    original = training.BestWeights.on_train_epoch_start

    def killed(self, trainer, module):
        if trainer.current_epoch == 2:
            raise RuntimeError("killed")
        original(self, trainer, module)

    with monkeypatch.context() as patch:
        patch.setattr(training.BestWeights, "on_train_epoch_start", killed)
        with pytest.raises(RuntimeError, match="killed"):
            fit(checkpoints=tmp_path / "ck")
    assert list((tmp_path / "ck").glob("*/last.ckpt"))
    resumed_epochs = []

    def watched(self, trainer, module):
        resumed_epochs.append(trainer.current_epoch)
        original(self, trainer, module)

    monkeypatch.setattr(training.BestWeights, "on_train_epoch_start", watched)
    resumed = fit(checkpoints=tmp_path / "ck")
    assert resumed_epochs == [2, 3]
    assert states_equal(undisturbed[0], resumed[0])
    assert undisturbed[1] == resumed[1]
    assert not (tmp_path / "ck").exists()


def test_a_checkpoint_of_another_run_is_not_taken(tmp_path):
    strange = tmp_path / "ck" / "0123456789abcdef"
    strange.mkdir(parents=True)
    (strange / "last.ckpt").write_bytes(b"of other settings")
    model, _, summary = fit(checkpoints=tmp_path / "ck")
    assert summary["epochs"] == 4
    assert states_equal(model, fit()[0])


def test_training_stops_when_nothing_gets_better():
    frozen = Rule("sgd", 1e-12, "constant", batch=8, epochs=50, patience=3)
    assert fit(frozen)[2]["epochs"] == 4  # the first epoch, and three in vain


def test_the_two_level_rule_cuts_the_rate_and_goes_back_to_the_best_weights():
    wild = Rule("sgd", 5.0, "two-level", batch=8, epochs=9, patience=2, decay=0.1, local_decay=0.01)
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
    assert fitted.summary["parameters"] == systems.count_parameters(fitted.model) == 2 * 6 + 2


def test_the_same_weights_give_the_same_file(tmp_path):
    model = fit()[0]
    training.save_state(model, tmp_path / "a" / "state.pt")
    training.save_state(model, tmp_path / "b" / "state.pt")
    assert (tmp_path / "a" / "state.pt").read_bytes() == (tmp_path / "b" / "state.pt").read_bytes()
    again = Small()
    again.load_state_dict(torch.load(tmp_path / "a" / "state.pt", weights_only=True))
    again.eval()
    np.testing.assert_array_equal(again(split().features).detach(), model.eval()(split().features).detach())


def test_blending_and_offsets_change_what_is_learnt_but_not_its_determinism():
    blended = Rule("adam", 1e-2, "constant", batch=8, epochs=2, patience=4, mixup=0.5, jitter=0.3)
    plain = Rule("adam", 1e-2, "constant", batch=8, epochs=2, patience=4)
    assert states_equal(fit(blended)[0], fit(blended)[0])
    assert not states_equal(fit(blended)[0], fit(plain)[0])
