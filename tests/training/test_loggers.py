"""Logs of a training's curves: what they hold, that no result depends on them, and what happens when one cannot log.

CSV is written for real. TensorBoard, Weights & Biases and MLflow are not installed here: stand-ins with the signatures
of Lightning's own loggers take their places.
"""

from __future__ import annotations

import csv
import inspect

import pytest
import torch
import yaml
from helpers.splits import Small, split
from pytorch_lightning import loggers as lightning
from pytorch_lightning.loggers import Logger

from earmark.errors import EarmarkError
from earmark.experiments import Recipe
from earmark.training import gradient
from earmark.training.gradient import Task
from earmark.training.tagger import CURVES, Tagger

RECIPE = Recipe(optimizer="adam", learning_rate=1e-2, batch=8, epochs=4, patience=4)


@pytest.fixture(autouse=True)
def logs(tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_LOGS", str(tmp_path / "logs"))
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "logs"


def train(checkpoints=None, seed=5):
    torch.manual_seed(0)
    model = Small()
    return model, gradient.train(Task(model, RECIPE, seed, split(), split(16, 1), name="mel-cnn"), checkpoints)


def killed(monkeypatch, checkpoints, epoch=2):
    """A training that is killed in an epoch."""

    def kill(tagger, *_):
        if tagger.current_epoch == epoch:
            raise KeyboardInterrupt
        return step(tagger, *_)

    step = Tagger.training_step
    with monkeypatch.context() as patch:
        patch.setattr(Tagger, "training_step", kill)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train(checkpoints)


def rows(folder):
    """The curves that Lightning's CSV logger has written, as ``train`` writes them."""
    (file,) = folder.rglob("metrics.csv")
    with file.open(newline="") as lines:
        return [[float(row["step"]), *(float(row[name]) for name in CURVES[1:])] for row in csv.DictReader(lines)]


class StandIn(Logger):
    """What was logged, by the arguments of a logger that must be those of Lightning's."""

    opened: list[StandIn]
    original: type[Logger]

    def __init__(self, *args, **kwargs):
        super().__init__()
        self.given = inspect.signature(self.original).bind(*args, **kwargs).arguments
        self.params, self.metrics, self.ends = {}, [], []
        self.opened.append(self)
        self.experiment = self
        self.run_id = self.given.get("run_id") or f"made-{len(self.opened)}"

    name = version = None

    def log_hyperparams(self, params):
        self.params |= params

    def log_metrics(self, metrics, step):
        self.metrics.append((step, metrics))

    def finalize(self, status):
        self.ends.append(status)

    def finish(self, exit_code):
        self.ends.append(exit_code)


CLASSES = {"tensorboard": "TensorBoardLogger", "wandb": "WandbLogger", "mlflow": "MLFlowLogger"}


@pytest.fixture
def stand_ins(monkeypatch):
    """By the kind, the loggers that were opened."""
    found = {}
    for kind, name in CLASSES.items():
        found[kind] = []
        stand_in = type(name, (StandIn,), {"opened": found[kind], "original": getattr(lightning, name)})
        monkeypatch.setattr(lightning, name, stand_in)
    return found


def test_without_the_variable_nothing_is_logged(logs, monkeypatch):
    monkeypatch.setenv("EARMARK_LOGGER", "")
    train()
    assert not logs.exists()


def test_the_csv_log_holds_the_curves_and_the_settings(logs, monkeypatch):
    monkeypatch.setenv("EARMARK_LOGGER", "csv")
    _, learnt = train()
    assert rows(logs / "csv/mel-cnn") == learnt.curves
    (settings,) = (logs / "csv/mel-cnn").glob("seed-5-*/hparams.yaml")
    held = yaml.safe_load(settings.read_text())
    assert (held["seed"], held["learning_rate"], held["epochs"]) == (5, 1e-2, 4)


@pytest.mark.usefixtures("stand_ins")
def test_results_are_the_same_bits_with_and_without_a_logger(monkeypatch):
    bare, learnt = train()
    monkeypatch.setenv("EARMARK_LOGGER", "csv,tensorboard,wandb,mlflow")
    logged, too = train()
    assert too == learnt
    for a, b in zip(bare.state_dict().values(), logged.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_other_settings_and_other_seeds_have_logs_of_their_own(logs, monkeypatch):
    monkeypatch.setenv("EARMARK_LOGGER", "csv")
    for seed in (5, 6, 5):
        train(seed=seed)
    assert sorted(path.name[:7] for path in (logs / "csv/mel-cnn").iterdir()) == ["seed-5-", "seed-6-"]


def test_a_csv_log_is_there_while_the_training_runs(logs, monkeypatch):
    seen, step = {}, Tagger.training_step

    def look(tagger, *batch):
        if tagger.current_epoch:
            seen[tagger.current_epoch] = [row[0] for row in rows(logs)]
        return step(tagger, *batch)

    monkeypatch.setattr(Tagger, "training_step", look)
    monkeypatch.setenv("EARMARK_LOGGER", "csv")
    train()
    assert seen == {1: [0], 2: [0, 1], 3: [0, 1, 2]}


def test_a_resumed_run_goes_on_in_the_same_csv_log(logs, monkeypatch, tmp_path):
    monkeypatch.setenv("EARMARK_LOGGER", "csv")
    killed(monkeypatch, tmp_path / "checkpoints")
    _, learnt = train(tmp_path / "checkpoints")
    assert len(learnt.curves) == 4
    assert rows(logs) == learnt.curves


@pytest.mark.parametrize("kind", CLASSES)
def test_every_epoch_is_a_step_of_the_log(monkeypatch, stand_ins, kind):
    monkeypatch.setenv("EARMARK_LOGGER", kind)
    _, learnt = train()
    (logger,) = stand_ins[kind]
    assert [[step, *metrics.values()] for step, metrics in logger.metrics] == learnt.curves
    assert {tuple(metrics) for _, metrics in logger.metrics} == {CURVES[1:]}
    assert (logger.params["seed"], logger.params["optimizer"]) == (5, "adam")
    assert logger.ends == ["success"] + [0] * (kind == "wandb")  # of one process the next training is another run


@pytest.mark.parametrize("kind", CLASSES)
def test_a_resumed_run_goes_on_in_the_same_log_and_tells_no_epoch_twice(monkeypatch, stand_ins, tmp_path, kind):
    monkeypatch.setenv("EARMARK_LOGGER", kind)
    killed(monkeypatch, tmp_path / "checkpoints")
    train(tmp_path / "checkpoints")
    before, after = stand_ins[kind]
    assert [step for logger in (before, after) for step, _ in logger.metrics] == [0, 1, 2, 3]
    if kind == "mlflow":
        assert (before.given.get("run_id"), after.given["run_id"]) == (None, before.run_id)
    else:
        assert before.given == after.given


def test_a_training_that_begins_again_is_another_run_of_a_service(monkeypatch, stand_ins):
    monkeypatch.setenv("EARMARK_LOGGER", "wandb,mlflow")
    train()
    train()
    first, second = stand_ins["wandb"]
    assert first.given["id"] != second.given["id"]
    assert [logger.given.get("run_id") for logger in stand_ins["mlflow"]] == [None, None]


def test_local_logs_lie_under_the_folder_of_the_logs(logs, monkeypatch, stand_ins):
    monkeypatch.setenv("EARMARK_LOGGER", "tensorboard, wandb,mlflow,")
    train()
    given = stand_ins["tensorboard"][0].given
    assert (given["save_dir"], given["name"]) == (logs / "tensorboard", "mel-cnn")
    assert given["version"].startswith("seed-5-")
    assert stand_ins["wandb"][0].given["save_dir"].parent == logs / "wandb/mel-cnn"
    assert stand_ins["mlflow"][0].given["tracking_uri"] == f"file://{logs}/mlflow/mlruns"


def test_services_are_told_by_their_own_variables(monkeypatch, stand_ins):
    monkeypatch.setenv("EARMARK_LOGGER", "wandb,mlflow")
    monkeypatch.setenv("WANDB_PROJECT", "ours")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
    train()
    assert (
        stand_ins["wandb"][0].given["kwargs" if "project" not in stand_ins["wandb"][0].given else "project"] == "ours"
    )
    given = stand_ins["mlflow"][0].given
    assert (given["tracking_uri"], given["experiment_name"]) == ("http://localhost:5000", "theirs")


def test_a_logger_that_is_not_there_is_refused_with_those_that_are(monkeypatch):
    monkeypatch.setenv("EARMARK_LOGGER", "csv,tensorbord")
    expected = "EARMARK_LOGGER must be one or more of csv, tensorboard, wandb, mlflow, with commas, got 'tensorbord'"
    with pytest.raises(EarmarkError, match=expected):
        train()


PACKAGES = {
    "tensorboard": ("lightning_fabric.loggers.tensorboard._TENSORBOARD", "_AVAILABLE", "X_AVAILABLE"),
    "wandb": ("pytorch_lightning.loggers.wandb._WANDB_AVAILABLE", ""),
    "mlflow": ("pytorch_lightning.loggers.mlflow._MLFLOW_AVAILABLE", ""),
}


@pytest.mark.parametrize("kind", CLASSES)
def test_a_missing_package_is_named_by_its_extra_before_anything_is_trained(monkeypatch, kind):
    name, *ends = PACKAGES[kind]
    for end in ends:
        monkeypatch.setattr(name + end, False)
    monkeypatch.setattr(Tagger, "training_step", None)
    monkeypatch.setenv("EARMARK_LOGGER", kind)
    with pytest.raises(EarmarkError, match=rf"EARMARK_LOGGER={kind} needs .* `pip install 'earmark\[{kind}\]'`"):
        train()


@pytest.mark.usefixtures("stand_ins")
def test_a_service_that_says_no_is_told_before_anything_is_trained(monkeypatch):
    def refuse(*_):
        raise ConnectionError("no route to localhost:5000")

    monkeypatch.setattr(StandIn, "log_hyperparams", refuse)
    monkeypatch.setattr(Tagger, "training_step", None)
    monkeypatch.setenv("EARMARK_LOGGER", "mlflow")
    with pytest.raises(EarmarkError, match="EARMARK_LOGGER=mlflow cannot begin a log: no route to localhost:5000"):
        train()


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize("method", ["log_metrics", "finalize"])
def test_a_log_that_fails_later_costs_one_warning_and_no_training(logs, monkeypatch, capsys, method):
    bare, _ = train()

    def fail(*_, **__):
        raise ConnectionError("gone")

    monkeypatch.setattr(StandIn, method, fail)
    monkeypatch.setenv("EARMARK_LOGGER", "mlflow,csv")
    model, learnt = train()
    assert capsys.readouterr().err == "warning: mlflow logs no more of this training (gone)\n"
    assert all(torch.equal(a, b) for a, b in zip(bare.parameters(), model.parameters(), strict=True))
    assert rows(logs) == learnt.curves
