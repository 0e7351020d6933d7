"""Published systems are added to params.yaml with all that they need, and nothing else there changes."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from helpers import ROOT

from earmark import representations
from earmark.cli import main
from earmark.config import Config, ConfigError, RepresentationConfig, load
from earmark.errors import EarmarkError
from earmark.models.networks import count_parameters
from earmark.systems import published
from earmark.systems.add import Wish, add
from earmark.systems.claims import changes, claimed
from earmark.systems.published import SYSTEMS
from earmark.systems.recipes import RECIPES
from earmark.systems.system import Input
from earmark.training import validation
from earmark.training.plan import plan_of

WEIGHTS = "earmark-best-musicnn"  # needs files that no repository holds
FREE = [name for name in SYSTEMS if name != WEIGHTS]
TAGS = [name for name in FREE if SYSTEMS[name].task == "tags"]
CLASSES = [name for name, system in SYSTEMS.items() if system.task == "classes"]
ERAS = ("medieval", "baroque", "folk")
Add = Callable[..., str]


@pytest.fixture
def params(tmp_path, monkeypatch) -> Path:
    """The project's settings, where its files of synonyms are found."""
    monkeypatch.chdir(ROOT)
    path = tmp_path / "params.yaml"
    path.write_bytes((ROOT / "params.yaml").read_bytes())
    return path


def lenient(config: Config) -> None:
    """Judge nothing: the judgement of the real one takes half a second."""


@pytest.fixture
def adding(params) -> Add:
    def run(*names: str, judge=lenient, dry_run=False, **wish: object) -> str:
        return add(params, names, Wish(**wish), judge, dry_run)  # type: ignore[arg-type]

    return run


def content(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def targets(said: str) -> list[str]:
    return said.rstrip("\n").rpartition("\n")[2].removeprefix("To run: dvc repro ").split()


@cache
def sizes(heard: str) -> tuple[int, int]:
    found = representations.of(RepresentationConfig.model_validate_json(heard))
    return found.n_frames, found.n_dims


def require_published(config: Config, target: str, name: str) -> None:
    """The entry that a stage trains is the published system, to the last parameter."""
    stage, _, entry = target.partition("@")
    section = {"evaluate": "experiments", "crossvalidate": "crossvalidations"}[stage]
    experiment, system = getattr(config, section)[entry], published.get(name)
    assert claimed(entry, experiment) == system
    assert changes(system, experiment, config) == []
    plan = plan_of(config, section, entry, experiment)
    frames, dims = sizes(config.representations[experiment.representation].model_dump_json())
    with torch.device("meta"):
        network = plan.build(system.outputs, frames, dims)
        theirs = published.build(name, system.outputs)
    assert type(network) is type(theirs)
    assert plan.frames(frames) == (
        system.frames if system.n_excerpts > 1 or not system.any_length else plan.frames(frames)
    )
    if system.parameters is not None:
        assert count_parameters(network, system.counting) == system.parameters


def test_all_systems_at_once_are_the_published_ones(params, adding):
    said = adding(*FREE, classes=ERAS, judge=validation.require)
    config = load(params)
    found = targets(said)
    assert len(found) == len(FREE)
    for name, target in zip(FREE, found, strict=True):
        require_published(config, target, name)
        recipe = config.recipe_of(entry_of(config, target), "experiments", name)
        assert recipe == published.get(name).recipe_of(published=True)


def test_a_system_on_several_representations_is_added_and_found_again(params, adding, monkeypatch):
    parts = {"m": {"kind": "mel", "hop": 512, "pooling": "mean-std"}, "s": {"kind": "scattering", "T": 8192}}
    heard = Input("joint", 16_000, 464_000, {"frames": 100, "parts": parts}, name="both")
    monkeypatch.setitem(
        SYSTEMS, "mine", replace(published.get("linear"), name="mine", representation=heard, frames=100)
    )
    adding("mine", judge=validation.require)
    config = load(params)
    assert config.experiments["mine"].representation == "both"
    require_published(config, "evaluate@mine", "mine")
    written = params.read_text()
    assert "both: {kind: joint, rate: 16000, samples: 464000, frames: 100, parts: {m: {kind: mel, hop: 512" in written
    adding("mine")
    assert params.read_text() == written
    other = config.representations["both"].with_options({"frames": 90, "parts": parts})
    assert changes(SYSTEMS["mine"], config.experiments["mine"], config.model_copy(
        update={"representations": config.representations | {"both": other}}
    )) == ["frames 90, not 100"]  # fmt: skip


def entry_of(config: Config, target: str):
    return (config.experiments | config.crossvalidations)[target.partition("@")[2]]


def test_one_after_another_they_are_the_same_as_at_once(params, adding):
    said = "".join(adding(name, classes=ERAS if name in CLASSES else ()) for name in FREE)
    apart = load(params)
    params.write_bytes((ROOT / "params.yaml").read_bytes())
    adding(*FREE, classes=ERAS)
    assert load(params) == apart
    validation.require(apart)
    assert said.count("To run") == len(FREE)


def test_quick_recipes_are_those_of_a_few_minutes(params, adding):
    found = targets(adding(*TAGS, rule="quick", judge=validation.require))
    config = load(params)
    for name, target in zip(TAGS, found, strict=True):
        require_published(config, target, name)
        recipe = config.recipe_of(entry_of(config, target), "experiments", name)
        assert recipe == published.get(name).recipe_of(published=False)
    assert "evaluate@mel-2d-cnn" in found, "the project's own entry"


def test_only_lines_are_added_and_every_remark_stays(params, adding):
    before = params.read_text()
    adding(*FREE, classes=ERAS)
    gone = [line for line in difflib.ndiff(before.splitlines(), params.read_text().splitlines()) if line[0] == "-"]
    assert [line.partition(" {}")[0] for line in gone] == ["- crossvalidations:"]
    assert (
        "crossvalidations: # networks on exclusive classes; on the demo, for instance:\n  mirex" in params.read_text()
    )


def test_a_system_on_published_weights_says_how_to_get_them(adding, monkeypatch, tmp_path):
    (tmp_path / "src").symlink_to(ROOT / "src")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EarmarkError, match=r"parts\.musicnn-m.*must be a file that exists.*earmark weights musicnn-m"):
        adding(WEIGHTS, judge=validation.require)


@pytest.mark.parametrize("name", ["crnn", "sample-cnn", "scat-5l-512h-gru", "mel-2d-cnn", "earmark-best", *CLASSES])
def test_adding_what_is_there_changes_no_byte_and_says_so(params, adding, name):
    classes = ERAS if name in CLASSES else ()
    first = adding(name, classes=classes)
    held, since = params.read_bytes(), params.stat().st_mtime_ns
    again = adding(name, classes=classes)
    assert (params.read_bytes(), params.stat().st_mtime_ns) == (held, since)
    assert "nothing to add, all of it is there" in again
    assert "is there already" in again
    assert targets(again) == targets(first)


def test_it_is_there_by_whatever_name_recipe_values_and_seeds(params, adding):
    values = content(params)
    adding("crnn")
    values = content(params)
    mine = values["experiments"].pop("crnn") | {"system": "crnn", "seeds": [4, 5]}
    recipe = values["recipes"][mine.pop("recipe")]
    values["experiments"]["own"] = mine | recipe
    del values["recipes"]["panwar"]
    params.write_text(yaml.safe_dump(values))
    assert "experiments.own is there already" in adding("crnn")
    assert "panwar" not in content(params)["recipes"]


@pytest.mark.parametrize(
    "change",
    [
        {"network": {"units": 16}}, {"batch": 16}, {"representation": "mel"}, {"model": "convolutional"},
        {"system": "fcn-4", "model": "fully_convolutional"},
    ],
)  # fmt: skip
def test_an_entry_that_differs_stays_and_the_system_is_added_beside_it(params, adding, change):
    adding("crnn")
    values = content(params)
    values["experiments"]["crnn"] |= change
    params.write_text(yaml.safe_dump(values, sort_keys=False))
    said = adding("crnn")
    assert "experiments.crnn stays as it is: it differs from what is added as crnn-published" in said
    config = load(params)
    assert content(params)["experiments"]["crnn"] == values["experiments"]["crnn"]
    assert config.experiments["crnn-published"].system == "crnn"
    require_published(config, "evaluate@crnn-published", "crnn")


# --- what it needs


def test_a_rate_that_is_not_there_is_decoded_as_the_others_are(params, adding):
    text = params.read_text()
    params.write_text(text.replace("dtype: int16, min_seconds: 1.0", "dtype: float32, policy: center, min_seconds: 3"))
    adding("crnn")
    waveforms = load(params).waveforms
    assert waveforms[12_000] == waveforms[16_000].model_copy(update={"samples": 349_440})


def test_waveforms_that_are_too_short_are_longer_afterwards_and_else_the_same(params, adding):
    values = content(params)
    values["waveforms"] = {16000: {"samples": 300_000, "dtype": "float32", "min_seconds": 2}}
    values["representations"] = {"short": {"kind": "mel", "rate": 16000, "samples": 300_000}}
    values["experiments"] = {}
    params.write_text(yaml.safe_dump(values))
    said = adding("musicnn")
    assert "+ waveforms.16000.samples: 465984 (raised from 300000: its clips are decoded again)" in said
    found = content(params)
    assert found["waveforms"] == {16000: {"samples": 465_984, "dtype": "float32", "min_seconds": 2}}
    assert found["representations"]["short"] == values["representations"]["short"]
    assert "raised" not in adding("mel-2d-cnn"), "once is enough"


def test_a_representation_with_the_same_settings_is_used_whatever_its_name_and_defaults(params, adding):
    values = content(params)
    heard = SYSTEMS["crnn"].representation
    values["waveforms"][12000] = {"samples": heard.n_samples}
    values["representations"]["other-one"] = {"kind": "mel", "rate": 12000, "samples": heard.n_samples, "hop": 256}
    params.write_text(yaml.safe_dump(values))
    adding("crnn")
    assert load(params).experiments["crnn"].representation == "other-one"
    assert "mel-12k" not in content(params)["representations"]


def test_a_name_that_is_taken_by_other_settings_is_left_to_them(params, adding):
    adding("crnn")
    values = content(params)
    values["representations"]["mel-12k"]["n_mels"] = 40
    values["recipes"]["panwar"]["batch"] = 8
    params.write_text(yaml.safe_dump(values))
    said = adding("crnn")
    found = content(params)
    assert found["representations"]["mel-12k"]["n_mels"] == 40
    assert found["recipes"]["panwar"]["batch"] == 8
    assert found["experiments"]["crnn-published"]["representation"] == "mel-12k-2"
    assert found["experiments"]["crnn-published"]["recipe"] == "panwar-2"
    assert "recipes.panwar stays as it is" in said
    require_published(load(params), "evaluate@crnn-published", "crnn")


def test_sections_that_are_not_there_are_made(params, adding):
    values = content(params)
    for section in ("recipes", "crossvalidations"):
        del values[section]
    values |= {"experiments": {}, "labels": {}, "representations": {}, "waveforms": {}}
    params.write_text(yaml.safe_dump(values))
    found = targets(adding("crnn", *CLASSES, classes=ERAS, judge=validation.require))
    config = load(params)
    for target, name in zip(found, ["crnn", *CLASSES], strict=True):
        require_published(config, target, name)
    assert config.waveforms[12_000].dtype == "int16"
    assert list(config.labels) == ["top50"]


def test_recipes_of_the_table_are_read_as_they_were_written(params, adding):
    adding(*TAGS)
    written = load(params).recipes
    assert {name: written[name] for name in {SYSTEMS[tag].recipe for tag in TAGS} if name is not None} == {
        name: recipe for name, recipe in RECIPES.items() if any(SYSTEMS[tag].recipe == name for tag in TAGS)
    }


# --- labels


def magnatagatune(params: Path, split: str = "corpus", **labels: dict) -> None:
    values = content(params)
    values["corpus"] = {"kind": "magnatagatune", "audio": "a", "annotations": "b.csv", "split": split}
    values["labels"] |= labels
    params.write_text(yaml.safe_dump(values, sort_keys=False))


MERGED = {"top": 50, "clean": True, "synonyms": "src/earmark/corpus/synonyms/magnatagatune.yaml"}


@pytest.mark.parametrize(
    ("system", "name", "values"),
    [
        ("scat-4l-cnn", "top50", None),
        ("musicnn", "top50", None),
        ("fcn-4", "top50", None),
        ("mel-bilstm", "top50-merged", MERGED),
        ("crnn", "top50-merged-full-panwar-random", MERGED | {"clean": False, "split": "panwar-random"}),
    ],
)
def test_on_magnatagatune_labels_are_those_of_the_paper(params, adding, system, name, values):
    magnatagatune(params)
    before = content(params)["labels"]
    adding(system)
    found = content(params)
    assert found["experiments"][system]["labels"] == name
    assert found["labels"] == before | ({} if values is None else {name: values})


def test_labels_as_in_the_paper_are_used_whatever_their_name(params, adding):
    magnatagatune(params, song={**MERGED, "split": "song"}, mine=MERGED, other=MERGED)
    adding("mel-bilstm")
    assert content(params)["experiments"]["mel-bilstm"]["labels"] == "mine"


@pytest.mark.parametrize("system", ["crnn", "mel-bilstm"])
def test_on_another_corpus_the_labels_that_are_there_are_used_and_the_difference_is_said(params, adding, system):
    said = adding(system)
    assert content(params)["labels"] == content(ROOT / "params.yaml")["labels"]
    assert (
        "labels.top50 is used: top 50, raw, clean, split corpus; the paper's, of MagnaTagATune: top 50, merged" in said
    )


def test_splits_that_are_dealt_by_artist_are_not_promised_to_be_the_papers(params, adding):
    magnatagatune(params, split="artist")
    said = adding("mel-bilstm")
    assert "labels.top50 is used: top 50, raw, clean, split artist; the paper's" in said


def test_labels_that_are_named_are_used(params, adding):
    magnatagatune(params, small={"top": 5, "clean": False, "synonyms": "src/earmark/corpus/synonyms/none.yaml"})
    said = adding("crnn", labels="small")
    assert content(params)["experiments"]["crnn"]["labels"] == "small"
    assert "labels.small is used: top 5, raw, full, split corpus; the paper's" in said


# --- what cannot be


def refused(params: Path, adding: Add, *names: str, **wish: object) -> str:
    held = params.read_bytes() if params.exists() else b""
    with pytest.raises(EarmarkError) as error:
        adding(*names, **wish)
    assert (params.read_bytes() if params.exists() else b"") == held
    assert [path.name for path in params.parent.iterdir()] == ["params.yaml"] * params.exists()
    return str(error.value)


@pytest.mark.parametrize(
    ("names", "wish", "told"),
    [
        (("crn",), {}, "got 'crn': close to crnn"),
        (("crnn", "musicnn", "crnn"), {}, "crnn is named 2 times"),
        (("crnn", "musicnn"), {"name": "mine"}, "--name is the name of one experiment, got 'mine' for 2"),
        (("crnn",), {"name": "linear"}, "experiments.linear is another experiment: choose another --name"),
        (("linear",), {"name": "floor"}, "experiments.linear is the system linear just as it would be added"),
        (("crnn",), {"name": "No Name"}, "experiments.No Name"),
        (("crnn",), {"labels": "top5"}, "labels of params.yaml has no 'top5': close to top50"),
        ((*CLASSES,), {}, "mirex-5l-512h-lstm tells exclusive classes apart and needs --classes"),
        ((CLASSES[0],), {"classes": ("folk",)}, "crossvalidations.mirex-5l-512h-lstm.classes"),
        (("crnn",), {"classes": ERAS}, "--classes goes with systems of exclusive classes, which crnn are not"),
        (("crnn",), {"groups": "song"}, "--groups goes with systems of exclusive classes, which crnn are not"),
    ],
)  # fmt: skip
def test_what_cannot_be_added_is_refused_and_nothing_changes(params, adding, names, wish, told):
    assert told in refused(params, adding, *names, **wish)


def test_of_several_systems_none_is_added_if_one_cannot(params, adding):
    refused(params, adding, "crnn", "musicnn", labels="no")


def test_settings_that_could_not_be_used_are_not_written(params, adding):
    def judge(config: Config) -> None:
        if "crnn" in config.experiments:
            raise ConfigError("experiments.crnn.batch must leave 2 clips")

    told = refused(params, adding, "crnn", judge=judge)
    assert told.startswith("experiments.crnn.batch must leave 2 clips\nnothing was added; it would have been:\n")
    assert "  experiments.crnn: {representation: mel-12k" in told


def test_errors_that_were_there_before_are_shown_and_nothing_is_added(params, adding):
    params.write_text(params.read_text().replace("hop: 1792", "hop: 0"))
    told = refused(params, adding, "crnn", judge=validation.require)
    assert "representations.mel-song.hop" in told
    assert told.endswith(f"{params} has to be mended first: nothing was added")


def test_a_file_that_is_not_there(params, adding):
    params.unlink()
    assert refused(params, adding, "crnn").startswith(f"{params} does not exist: run this in the root of the project")


def test_a_file_that_may_not_be_written(params, adding, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anything
    assert refused(params, adding, "crnn") == f"{params} cannot be written: it is read-only for this user (`ls -l`)"
    assert "would be added" in adding("crnn", dry_run=True)


@pytest.mark.parametrize(
    "text",
    [
        "base: &base\n  scattering: {kind: scattering, rate: 16000, samples: 464000}\nrepresentations:\n  <<: *base\n",
        "representations: &all {mel: {kind: mel, rate: 12000, samples: 5000}}\n",
    ],
)
def test_settings_that_are_written_in_another_way_are_added_to_rightly_or_not_at_all(params, adding, text):
    values = content(params)
    del values["representations"]
    values["experiments"] = {}
    values["waveforms"]["12000"] = {"samples": 10_000}
    params.write_text(text.replace("base:", "corpus: &corpus", 0) + yaml.safe_dump(values))
    before = params.read_bytes()
    try:
        adding("crnn")
    except EarmarkError:
        assert params.read_bytes() == before
    else:
        require_published(load(params), "evaluate@crnn", "crnn")


def test_waveforms_behind_a_merge_key_are_told_as_lines_to_write(params, adding):
    text = re.sub(
        r'(?m)^  "16000": \{samples: 465984, dtype: int16', '  "8000": &w {samples: 300000', params.read_text()
    )
    text = text.replace("max_rejected: 0.02}\n", 'max_rejected: 0.02}\n  "16000": {<<: *w}\n', 1)
    values = yaml.safe_load(text)
    text = re.sub(r"(?ms)^representations:.*?^(?=recipes:)", "representations: {}\n", text)
    text = re.sub(r"(?ms)^experiments:.*?^(?=crossvalidations:)", "experiments: {}\n", text)
    assert values["waveforms"]["16000"]["samples"] == 300_000
    params.write_text(text)
    told = refused(params, adding, "musicnn")
    assert "is not written in a way that lines can be added to" in told
    assert "  waveforms.16000.samples: 465984" in told


# --- how it is written


def test_a_dry_run_says_the_same_and_writes_nothing(params, adding):
    before = params.read_bytes()
    said = adding("crnn", dry_run=True)
    assert params.read_bytes() == before
    assert said.startswith(f"{params}: would be added\n")
    assert said.replace("would be added", "added") == adding("crnn")


def test_modes_and_links_stay(params, tmp_path):
    params.chmod(0o664)
    link = tmp_path / "link.yaml"
    link.symlink_to(params)
    add(link, ["crnn"], Wish(), lenient)
    assert link.is_symlink()
    assert "crnn" in load(params).experiments
    assert stat.S_IMODE(params.stat().st_mode) == 0o664


def test_the_command_says_what_it_added_and_what_to_run(params, capsys):
    assert main(["add", "crnn", "musicnn", "--recipe", "quick", "--params", str(params)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0] == f"{params}: added"
    assert (
        "+ experiments.crnn: {representation: mel-12k, labels: top50, model: crnn, recipe: quick, seeds: [1]}" in said
    )
    assert "  representations.mel is used\n" in said
    assert said.endswith("\nTo run: dvc repro evaluate@crnn evaluate@musicnn\n")
    arguments = ["--name", "eras", "--classes", "medieval, baroque,folk", "--groups", "song", "--params", str(params)]
    assert main(["add", "mirex-5l-512h-lstm", *arguments]) == 0
    assert "To run: dvc repro crossvalidate@eras" in capsys.readouterr().out
    eras = load(params).crossvalidations["eras"]
    assert (eras.system, eras.classes, eras.groups) == ("mirex-5l-512h-lstm", ERAS, "song")
