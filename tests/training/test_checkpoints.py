"""A killed training is resumed with the same result, but never from a state that is damaged or of another run."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.model_checks import single_thread
from helpers.plans import plan

from earmark.corpus.label_table import Labelled
from earmark.features.dataset import Split
from earmark.storage import provenance
from earmark.training import checkpoints, distributed, gradient
from earmark.training import fit as training
from earmark.training.tagger import BestWeights

PLAN = plan("recurrent", {"cell": "gru", "layers": 1, "units": 4}, epochs=4, batch=8, learning_rate=1e-2)


@pytest.fixture(autouse=True)
def _one_thread():
    yield from single_thread()


def split(clips=24, seed=0) -> Split:
    features = torch.randn(clips, 4, 3, generator=torch.Generator().manual_seed(seed))
    targets = torch.stack([features.mean((1, 2)) > 0, features[:, 0, 0] > 0], 1).float()
    who = tuple(Labelled(str(i), f"song{i}", "artist", "train") for i in range(clips))
    return Split(features, targets, who, ("sum", "first"), 0)


class Run(SimpleNamespace):
    """A training that can be killed as an epoch begins, and that says which epochs it trained."""

    def __init__(self, folder):
        super().__init__(
            folder=folder, plan=PLAN, seed=1, train=split(), valid=split(16, 1), exclusive=False, epochs=[]
        )

    def go(self, folder="the same", kill_at=None, hook="on_train_epoch_start"):
        """Train, and return what was fitted; a run that is killed, as an epoch begins or in another hook, raises."""
        self.epochs.clear()
        begin, killed = BestWeights.on_train_epoch_start, getattr(BestWeights, hook)

        def watched(best, trainer, module):
            self.epochs.append(trainer.current_epoch)
            begin(best, trainer, module)

        def ended(best, trainer, module):
            if kill_at in (trainer.current_epoch, "anywhere"):
                raise RuntimeError("killed")
            (watched if hook == "on_train_epoch_start" else killed)(best, trainer, module)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BestWeights, "on_train_epoch_start", watched)
            if kill_at is not None:
                patch.setattr(BestWeights, hook, ended)
            folder = self.folder if folder == "the same" else folder
            return training.fit(self.plan, self.seed, self.train, self.valid, folder, self.exclusive)

    def kill(self, at, hook="on_train_epoch_start"):
        with pytest.raises(RuntimeError, match="killed"):
            self.go(kill_at=at, hook=hook)

    def files(self):
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "checkpoints")


def assert_same(first, second):
    assert first.curves == second.curves
    assert first.summary == second.summary
    ours, theirs = first.model.state_dict(), second.model.state_dict()
    assert all(torch.equal(weights, theirs[name]) for name, weights in ours.items())


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_killed_run_goes_on_bit_by_bit(run, exclusive):
    run.exclusive = exclusive
    undisturbed = run.go(folder=None)
    run.kill(at=2)
    resumed = run.go()
    assert run.epochs == [2, 3]
    assert_same(undisturbed, resumed)


def change(run, **values):
    run.plan = replace(run.plan, recipe=run.plan.recipe.model_copy(update=values))


def swapped(tensor):
    """The same sum, and the same rows in another order."""
    return tensor[torch.tensor([1, 0, *range(2, len(tensor))])]


def nudged(tensor):
    """One value up and another as much down: the same sum."""
    other = tensor.clone()
    other[0, 0], other[1, 0] = other[0, 0] + 0.25, other[1, 0] - 0.25
    return other


def of(run, part, **values):
    setattr(run, part, replace(getattr(run, part), **values))


def named(who):
    return tuple(clip._replace(clip_id=f"x{clip.clip_id}") for clip in who)


def makers(patch, **changed):
    found = gradient.makers() | changed
    patch.setattr(gradient, "makers", lambda: found)


CHANGES = {
    "code": lambda run: run.patch.setattr(provenance, "digest", lambda _: "other code"),
    "options": lambda run: setattr(run, "plan", replace(run.plan, options=run.plan.options | {"cell": "gru-paper"})),
    "exclusive": lambda run: setattr(run, "exclusive", True),
    "number of excerpts": lambda run: change(run, excerpts=2),
    "seed": lambda run: setattr(run, "seed", 2),
    "epochs": lambda run: change(run, epochs=5),
    "batch": lambda run: change(run, batch=6),
    "learning rate": lambda run: change(run, learning_rate=2e-2),
    "patience": lambda run: change(run, patience=2),
    "schedule": lambda run: change(run, schedule="warm-cosine"),
    "average": lambda run: change(run, average="ema"),
    "tags": lambda run: [of(run, part, tags=("first", "sum")) for part in ("train", "valid")],
    "training clips": lambda run: of(run, "train", clips=named(run.train.clips)),
    "validation clips": lambda run: of(run, "valid", clips=named(run.valid.clips)),
    "order of features": lambda run: of(run, "train", features=swapped(run.train.features)),
    "features": lambda run: of(run, "train", features=nudged(run.train.features)),
    "targets": lambda run: of(run, "train", targets=swapped(run.train.targets)),
    "validation features": lambda run: of(run, "valid", features=nudged(run.valid.features)),
    "validation targets": lambda run: of(run, "valid", targets=swapped(run.valid.targets)),
    "torch": lambda run: makers(run.patch, torch="0.0"),
    "device": lambda run: makers(run.patch, device="another"),
    "processes": lambda run: run.patch.setattr(distributed, "settings", lambda: {"num_nodes": 1}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_run_of_which_anything_has_changed_starts_anew(run, monkeypatch, what):
    monkeypatch.setattr(gradient.pl, "Trainer", _on_one_device(gradient.pl.Trainer))
    monkeypatch.setattr(provenance, "digest", lambda _: "the code")
    run.kill(at=1)
    before = run.files()
    assert len(before) == 1
    run.patch = monkeypatch
    CHANGES[what](run)
    run.kill(at=1)
    assert run.epochs == [0]
    assert len(run.files()) == 1  # the old state is gone
    assert run.files() != before


@pytest.mark.parametrize(("exclusive", "consumer"), [(False, "train-recurrent"), (True, "crossvalidate-recurrent")])
def test_the_code_of_a_run_is_that_of_its_stage_and_its_family(run, monkeypatch, exclusive, consumer):
    asked = []
    monkeypatch.setattr(provenance, "digest", lambda name: asked.append(name) or "the code")
    run.exclusive = exclusive
    run.kill(at=1)
    assert asked == [consumer]


def _on_one_device(trainer):
    return lambda **settings: trainer(**settings | {"devices": 1})


def only_file(run):
    (path,) = run.folder.rglob("*.ckpt")
    return path


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replaced(path, state):
    """The same place and name, with a digest that is right."""
    kind = path.name.split("-")[0]
    temporary = path.with_name("made.tmp")
    torch.save(state, temporary)
    checkpoints.seal(temporary, kind)


def loaded(path):
    return torch.load(path, weights_only=True)


def other_shape(path):
    state = loaded(path)
    state["state_dict"] = {name: weights[..., :1].clone() for name, weights in state["state_dict"].items()}
    replaced(path, state)


DAMAGE = {
    "a flipped bit": (flip, "the file is damaged"),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:1000]), "the file is damaged"),
    "empty": (lambda path: path.write_bytes(b""), "the file is damaged"),
    "something else": (lambda path: path.write_text("a letter"), "the file is damaged"),
    "other shapes": (other_shape, "it is of another network"),
    "no network": (lambda path: replaced(path, {"epoch": 1}), "callbacks"),
    "no dictionary": (lambda path: replaced(path, [1, 2]), "must be"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_checkpoint_that_cannot_be_used_is_discarded_with_one_line(run, capsys, kind):
    undisturbed = run.go(folder=None)
    run.kill(at=2)
    harm, reason = DAMAGE[kind]
    harm(only_file(run))
    capsys.readouterr()
    again = run.go()
    assert run.epochs == [0, 1, 2, 3]
    assert_same(undisturbed, again)
    (line,) = capsys.readouterr().err.splitlines()
    assert "is discarded, and training starts anew: " in line
    assert reason in line or kind == "no dictionary"


def test_what_a_finished_run_found_is_discarded_where_it_is_damaged(run, capsys):
    undisturbed = run.go()
    flip(only_file(run))
    assert_same(undisturbed, run.go())
    assert run.epochs == [0, 1, 2, 3]
    assert "is discarded" in capsys.readouterr().err


@pytest.mark.parametrize("hook", ["on_train_end", "on_fit_end", "teardown"])
def test_a_run_that_is_killed_after_its_early_stop_trains_no_further(run, hook):
    change(run, learning_rate=1e-12, epochs=50, patience=3)
    undisturbed = run.go(folder=None)
    assert undisturbed.summary["epochs"] == 4
    if hook == "teardown":  # between training and whatever is done with the model
        run.go()
    else:
        run.kill(at="anywhere", hook=hook)
    resumed = run.go()
    assert run.epochs == []
    assert_same(undisturbed, resumed)


def test_a_run_that_is_killed_after_its_last_epoch_trains_no_further(run):
    undisturbed = run.go(folder=None)
    run.kill(at="anywhere", hook="on_train_end")
    assert_same(undisturbed, run.go())
    assert run.epochs == []


def test_a_run_that_is_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before(run, monkeypatch):
    undisturbed = run.go(folder=None)
    written = []

    def torn(trainer, path, *_, **__):
        if len(written) == 2:
            path.write_bytes(b"the first half of a checkpoint")
            raise RuntimeError("killed")
        written.append(path)
        return save(trainer, path)

    save = gradient.pl.Trainer.save_checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(gradient.pl.Trainer, "save_checkpoint", torn)
        with pytest.raises(RuntimeError, match="killed"):
            run.go()
    resumed = run.go()
    assert run.epochs == [2, 3]
    assert_same(undisturbed, resumed)
    assert ["/finished-" in name for name in run.files()] == [True]


@pytest.mark.parametrize("kind", ["an epoch", "what was found"])
def test_a_disk_that_takes_no_checkpoint_is_told_by_its_file(run, monkeypatch, kind):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if kind == "an epoch":
            patch.setattr(gradient.pl.Trainer, "save_checkpoint", full)
        else:
            patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left") as told:
            run.go()
    assert Path(told.value.filename).name == "writing.tmp"
    assert Path(told.value.filename).is_relative_to(run.folder)
    run.go()
    assert ["/finished-" in name for name in run.files()] == [True]


def test_checkpoints_stay_until_the_model_is_safe(run):
    run.go()
    assert run.files()
    checkpoints.forget(run.folder)
    assert not run.folder.exists()
    checkpoints.forget(run.folder)  # once more, after a kill in between
    checkpoints.forget(None)


def test_the_hash_of_tensors_is_that_of_their_values_wherever_they_lie():
    values = torch.randn(150, 6, 2)
    spread = torch.randn(150, 12, 2)
    spread[:, ::2] = values
    assert not spread[:, ::2].is_contiguous()
    assert checkpoints._hash(spread[:, ::2]) == checkpoints._hash(values)
    assert checkpoints._hash(values.reshape(150, 2, 6)) != checkpoints._hash(values)
