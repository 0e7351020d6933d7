"""Training by gradient steps: one seed learns the same twice, the best weights are kept, recipes do what they say."""

from __future__ import annotations

import pytest
import torch
from helpers.plans import recipe
from helpers.splits import Small, split

from earmark.evaluation.metrics import macro_roc_auc
from earmark.experiments import Recipe
from earmark.training import gradient
from earmark.training.gradient import Task
from earmark.training.tagger import Tagger

RECIPE = Recipe(optimizer="adam", learning_rate=1e-2, batch=8, epochs=4, patience=4)
WILD = Recipe(
    optimizer="sgd", learning_rate=5.0, schedule="two-level", batch=8, epochs=9, patience=2, decay=0.1, local_decay=0.01
)


def train(recipe=RECIPE, seed=5):
    """A trained network, and what was learnt."""
    torch.manual_seed(0)
    model = Small()
    return model, gradient.train(Task(model, recipe, seed, split(), split(16, 1)))


def states_equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, second, other = train()[0], train()[0], train(seed=6)[0]
    assert states_equal(first, second)
    assert not states_equal(first, other)


def test_there_is_one_row_of_curves_per_epoch_and_the_best_weights_are_kept():
    model, learnt = train()
    assert [row[0] for row in learnt.curves] == [0, 1, 2, 3]
    aucs = [row[3] for row in learnt.curves]
    assert learnt.valid_roc_auc == max(aucs)
    assert learnt.best_epoch == aucs.index(max(aucs))
    assert (learnt.excerpt_frames, learnt.n_excerpts) == (4, 1)
    valid = split(16, 1)
    model.eval()
    scores = model(valid.features).detach().double().numpy()
    assert macro_roc_auc(scores, valid.targets.numpy()) == pytest.approx(max(aucs), abs=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_halves_of_numbers_suffice_for_every_optimizer_and_a_gradient_that_is_clipped(optimizer):
    clipped = RECIPE.model_copy(update={"optimizer": optimizer, "precision": "bfloat16", "clip_norm": 0.1})
    model, learnt = train(clipped)
    again = train(clipped)[0]
    assert states_equal(model, again)
    assert not states_equal(model, train(clipped.model_copy(update={"precision": "float32"}))[0])
    assert {weights.dtype for weights in model.state_dict().values()} == {torch.float32}
    assert len(learnt.curves) == 4


def test_a_deterministic_training_asks_torch_for_it_and_no_other_one_after_it(monkeypatch):
    asked = []
    forward = Small.forward
    monkeypatch.setattr(
        Small, "forward", lambda *given: asked.append(torch.are_deterministic_algorithms_enabled()) or forward(*given)
    )
    with_it = train(RECIPE.model_copy(update={"deterministic": True}))[0]
    assert asked
    assert all(asked)
    assert not torch.are_deterministic_algorithms_enabled()
    asked.clear()
    assert states_equal(with_it, train()[0])  # on a CPU
    assert not any(asked)


def test_training_stops_when_nothing_gets_better():
    frozen = Recipe(optimizer="sgd", learning_rate=1e-12, batch=8, epochs=50, patience=3)
    assert len(train(frozen)[1].curves) == 4  # the first epoch, and three in vain


def test_the_two_level_recipe_cuts_the_rate_and_goes_back_to_the_best_weights():
    rates = [row[4] for row in train(WILD)[1].curves]
    assert rates[0] == 5
    assert min(rates) <= 0.5
    assert rates == sorted(rates, reverse=True)


def test_blending_and_offsets_change_what_is_learnt_but_not_its_determinism():
    blended = Recipe(optimizer="adam", learning_rate=1e-2, batch=8, epochs=2, patience=4, mixup=0.5, jitter=0.3)
    plain = Recipe(optimizer="adam", learning_rate=1e-2, batch=8, epochs=2, patience=4)
    assert states_equal(train(blended)[0], train(blended)[0])
    assert not states_equal(train(blended)[0], train(plain)[0])


def test_going_back_to_the_best_weights_the_two_level_recipe_forgets_its_momentum(monkeypatch):
    """From the best weights a first step without momentum is -rate * gradient; stale momentum leads elsewhere."""
    kept = []
    judge = gradient.BestWeights.on_validation_epoch_end

    def watched(self, trainer, module):
        cuts = self._cuts
        judge(self, trainer, module)
        kept.append((self._cuts > cuts, len(trainer.optimizers[0].state)))

    monkeypatch.setattr(gradient.BestWeights, "on_validation_epoch_end", watched)
    train(WILD)
    assert any(cut for cut, _ in kept)
    assert all((size == 0) == cut for cut, size in kept)


def spy(monkeypatch):
    """The weights after every step, and the optimizer of every epoch."""
    steps, optimizers = [], []
    after = Tagger.on_train_batch_end
    begin = gradient.BestWeights.on_train_epoch_start

    def stepped(self, *arguments):
        steps.append({name: value.detach().clone() for name, value in self.model.named_parameters()})
        after(self, *arguments)

    def begun(best, trainer, module):
        begin(best, trainer, module)
        optimizers.append(type(trainer.optimizers[0]).__name__)

    monkeypatch.setattr(Tagger, "on_train_batch_end", stepped)
    monkeypatch.setattr(gradient.BestWeights, "on_train_epoch_start", begun)
    return steps, optimizers


def test_the_weights_of_the_last_epoch_are_kept_if_the_recipe_says_so(monkeypatch):
    """Three steps an epoch; with the best weights, this training stops after three epochs."""
    steps, _ = spy(monkeypatch)
    kept = recipe(learning_rate=0.5, batch=8, epochs=6, patience=1, weights="last")
    model, learnt = train(kept)
    assert learnt.best_epoch == len(learnt.curves) - 1 == 5
    assert all(torch.equal(value, steps[-1][name]) for name, value in model.named_parameters())
    best = train(kept.model_copy(update={"weights": "best"}))[1]
    assert best.best_epoch < len(best.curves) - 1 < 5


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_the_scored_weights_are_the_mean_of_those_of_the_steps_that_the_recipe_names(monkeypatch, average):
    steps, _ = spy(monkeypatch)
    found = recipe(learning_rate=1e-2, batch=8, epochs=4, average=average, ema_decay=0.5, swa_start=0.5)
    model, learnt = train(found)
    per_epoch = len(steps) // 4
    upto = (learnt.best_epoch + 1) * per_epoch
    for name, value in model.named_parameters():
        values = [step[name] for step in steps[:upto]]
        if average == "swa":
            late = values[2 * per_epoch :]
            expected = torch.stack(late).mean(dim=0) if late else values[-1]
        else:
            expected = values[0]
            for later in values[1:]:
                expected = 0.5 * expected + 0.5 * later
        torch.testing.assert_close(value.detach(), expected, rtol=1e-5, atol=1e-6)
    assert states_equal(model, train(found)[0])
    assert not states_equal(model, train(found.model_copy(update={"average": "none"}))[0])


def test_adam_gives_way_to_sgd_at_the_best_weights(monkeypatch):
    _, optimizers = spy(monkeypatch)
    found = recipe(
        schedule="adam-then-sgd", batch=8, epochs=6, patience=9, switch=3, sgd_learning_rate=0.5, cut_every=2, decay=0.1
    )
    _, learnt = train(found)
    assert optimizers == ["Adam"] * 3 + ["SGD"] * 3
    assert [row[4] for row in learnt.curves] == pytest.approx([1e-3, 1e-3, 1e-3, 0.5, 0.5, 0.05])


def test_smoothed_labels_keep_the_scores_from_the_ends():
    """With half of the smoothing to each side the loss is least at a score of 0.75 or 0.25."""
    sure = recipe(learning_rate=0.1, batch=24, epochs=60, patience=99)
    scores = [
        torch.sigmoid(train(sure.model_copy(update={"label_smoothing": value}))[0].eval()(split().features))
        for value in (0.0, 0.5)
    ]
    assert scores[0].max() > 0.99
    assert scores[1].max() < 0.9


@pytest.mark.parametrize(
    "values",
    [{"average": "ema"}, {"average": "swa", "swa_start": 0.25}, {"masks": 1, "mask_dims": 0.5},
     {"schedule": "adam-then-sgd", "switch": 1, "sgd_learning_rate": 0.1, "cut_every": 2, "decay": 0.5},
     {"excerpt": 2, "excerpts": 3, "places": "fixed"}],
)  # fmt: skip
def test_whatever_the_recipe_a_killed_run_goes_on_bit_by_bit(tmp_path, monkeypatch, values):
    found = recipe(**{"learning_rate": 1e-2, "batch": 8, "epochs": 4} | values)

    def task():
        torch.manual_seed(0)
        frames = found.frames(4)
        return Task(Small(3 * frames), found, 5, split(), split(16, 1))

    undisturbed = task()
    learnt = gradient.train(undisturbed)
    begin = gradient.BestWeights.on_train_epoch_start

    def killed(best, trainer, module):
        if trainer.current_epoch == 2:
            raise RuntimeError("killed")
        begin(best, trainer, module)

    with monkeypatch.context() as patch:
        patch.setattr(gradient.BestWeights, "on_train_epoch_start", killed)
        with pytest.raises(RuntimeError, match="killed"):
            gradient.train(task(), tmp_path)
    resumed = task()
    again = gradient.train(resumed, tmp_path)
    assert again.curves == learnt.curves
    assert states_equal(resumed.model, undisturbed.model)
