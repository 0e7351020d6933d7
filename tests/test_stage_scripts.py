"""Each stage, as dvc.yaml calls it: a wrong setting is told before anything is written, and what was there stays."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import ROOT
from helpers.small_data import RATE

ENCODERS = ("encode", "standardize-encoded")  # the scripts of features and standardize, for entries of `encoders`
STAGES = {
    stage: body
    for stage, body in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items()
    if stage not in ENCODERS
}
NO_SYNONYMS = str(ROOT / "src/earmark/corpus/synonyms/none.yaml")
CQT = {"kind": "cqt", "rate": RATE, "samples": 28_000}
LINEAR = {"representation": "mel", "labels": "top3", "model": "linear"}
CLASSES = LINEAR | {"system": "mirex-5l-512h-lstm"}


def run(stage: str, item: str = "", key: str | None = None) -> int:
    """Run a stage's command in this process, for one of its items; its exit code. key: what is asked for instead."""
    body = STAGES[stage].get("do", STAGES[stage])
    content = yaml.safe_load(Path("params.yaml").read_text())
    section = re.fullmatch(r"\$\{(\w+)\}", STAGES[stage].get("foreach", ""))
    values = {"key": key or item} | ({f"item.{k}": v for k, v in content[section[1]][item].items()} if section else {})
    values |= {f"item.{k}": v for k, v in zip(STAGES[stage].get("matrix", ()), item.split("-"), strict=False)}
    command = re.sub(r"\$\{([^}]+)\}", lambda m: str(values[m[1]]), body["cmd"])
    _, script, *arguments = shlex.split(command)  # python
    before, sys.argv = sys.argv, [script, *arguments]
    try:
        runpy.run_path(str(ROOT / script), run_name="__main__")
        return 0
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = before


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a project will lie."""
    return tmp_path_factory.mktemp("project")


@pytest.fixture
def made(project: Path, make_corpus: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with all outputs of a small corpus, made by the stages themselves."""
    monkeypatch.chdir(project)
    if not (project / "params.yaml").exists():
        make_corpus(where=project / "corpus")
        content = {
            "corpus": {
                "kind": "magnatagatune", "audio": "corpus/audio", "annotations": "corpus/annotations_final.csv",
            },
            "labels": {"top3": {"top": 3, "clean": True, "synonyms": NO_SYNONYMS}},
            "waveforms": {str(RATE): {"samples": 30_000}},
            "representations": {"mel": {"kind": "mel", "rate": RATE, "samples": 28_000, "n_mels": 24}},
            "experiments": {"linear": LINEAR},
            "crossvalidations": {
                "pitch": LINEAR | {"classes": ["high", "low"], "folds": 2},
            },
            "evaluation": {"resamples": 20, "seed": 1},
        }  # fmt: skip
        (project / "params.yaml").write_text(yaml.safe_dump(content))
        for stage, item in ITEMS.items():
            assert run(stage, item) == 0, stage
    return project


ITEM = {
    "labels": "top3", "waveforms": str(RATE), "representations": "mel", "experiments": "linear",
    "crossvalidations": "pitch",
}  # fmt: skip
ITEMS = {  # every stage once, in an order in which they can run
    stage: "mel-top3" if "matrix" in body else ITEM.get(body.get("foreach", "")[2:-1], "")
    for stage, body in sorted(STAGES.items(), key=lambda s: s[0] == "report")
}
SCRIPTS = {stage: ROOT / shlex.split(body.get("do", body)["cmd"])[1] for stage, body in STAGES.items()}
READS_SETTINGS = [stage for stage, script in SCRIPTS.items() if "params.yaml" in script.read_text()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(project: Path, capsys: Any, changes: dict[str, Any], stage: str, item: str, key: str | None = None) -> str:
    """What a stage says of settings that it refuses, having left every file as it was."""
    settings = project / "params.yaml"
    good = settings.read_text()
    settings.write_text(yaml.safe_dump(yaml.safe_load(good) | changes))
    try:
        before = contents(project)
        capsys.readouterr()
        assert run(stage, item, key) == 1
        assert contents(project) == before
    finally:
        settings.write_text(good)
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    return str(told)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_a_script_parses_its_arguments_and_calls_one_function_of_the_package(script):
    """Two names of earmark are called: what tells errors, and the function, which gets paths and arguments alone."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    (main,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    imported = [
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
        if (node.module or "").split(".")[0] == "earmark"
    ]  # fmt: skip
    _, parser, *options, args, body = main.body
    lines = [ast.unparse(line) for line in (parser, *options, args)]
    assert lines[0] == "parser = argparse.ArgumentParser(description=__doc__)"
    assert all(line.startswith("parser.add_argument(") for line in lines[1:-1])
    assert lines[-1] == "args = parser.parse_args()"
    assert isinstance(body, ast.With)
    assert [ast.unparse(item) for item in body.items] == ["explained()"]
    (call,) = body.body
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    function = ast.unparse(call.value.func)
    assert {"explained", function.partition(".")[0]} == set(imported) - {"waiting"}  # which acts where it is imported
    called = [ast.unparse(node.func) for node in ast.walk(call) if isinstance(node, ast.Call)]
    assert [name for name in called if name not in ("Path", "vars")] == [function]


@pytest.mark.parametrize("stage", READS_SETTINGS)
def test_a_wrong_setting_anywhere_stops_every_stage_and_nothing_is_touched(made, capsys, stage):
    told = refused(made, capsys, {"evaluation": {"resamples": 0, "seed": 1}}, stage, ITEMS[stage])
    assert "evaluation.resamples: input should be greater than 0, got 0" in told


@pytest.mark.parametrize("stage", ["settings", "train", "crossvalidate", "report"])
def test_an_experiment_that_no_system_fits_stops_what_trains_and_measures(made, capsys, stage):
    entries = {"linear": LINEAR, "classes": CLASSES}
    told = refused(made, capsys, {"experiments": entries}, stage, ITEMS[stage])
    assert "experiments.classes: the system 'mirex-5l-512h-lstm' tells exclusive classes apart" in told


@pytest.mark.parametrize(
    ("stage", "section", "name"),
    [
        ("labels", "labels", "nosuch"),
        ("decode", "waveforms", "8000"),
        ("features", "representations", "nosuch"),
        ("train", "experiments", "nosuch"),
        ("evaluate", "experiments", "nosuch"),
        ("crossvalidate", "crossvalidations", "nosuch"),
    ],
)
def test_an_item_that_params_yaml_lacks_is_named(made, capsys, stage, section, name):
    told = refused(made, capsys, {}, stage, ITEMS[stage], name)
    assert told.startswith(f"error: {section} of params.yaml has no '{name}': ")


@pytest.mark.parametrize(
    ("stage", "changes", "told"),
    [
        ("corpus", {"corpus": {"kind": "table", "audio": "x", "annotations": "x.csv"}}, "corpus.annotations: x.csv"),
        ("labels", {"labels": {"top3": {"top": 3, "clean": True, "synonyms": "x.yaml"}}}, "synonyms: x.yaml does"),
        ("features", {"representations": {"mel": CQT | {"bins": 500}}}, "bins"),
        (
            "crossvalidate",
            {"crossvalidations": {"pitch": LINEAR | {"classes": ["high", "hgih"]}}},
            "classes must be tags of the corpus, got 'hgih'",
        ),
    ],
)  # fmt: skip
def test_what_only_the_data_tell_is_told_before_anything_is_written_too(made, capsys, stage, changes, told):
    assert told in refused(made, capsys, changes, stage, ITEMS[stage])


@pytest.mark.parametrize("stage", ["train", "evaluate", "standardize", "report", "labels"])
def test_inputs_that_are_damaged_are_named_and_nothing_is_written(made, capsys, stage):
    target = {"report": "metrics/labels/top3.json", "labels": "data/corpus/tags.csv"}.get(
        stage, "data/labels/top3/labels.csv"
    )
    damaged = made / target
    good = damaged.read_bytes()
    damaged.write_bytes(b"\xff\xfe")
    try:
        assert f"{target} is not UTF-8 at byte 0" in refused(made, capsys, {}, stage, ITEMS[stage])
    finally:
        damaged.write_bytes(good)
