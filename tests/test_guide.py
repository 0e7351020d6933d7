"""Every page of docs/guide is followed as it stands, in an empty clone: its code is written, and what it says runs."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest
import torch
import yaml
from helpers import ROOT
from helpers.clones import SMALL, Clone, six_songs
from helpers.snippets import GUIDE, Snippet, commands, snippets

from earmark.cli import main
from earmark.config import CorpusConfig, load
from earmark.corpus.manifest import CorpusError
from earmark.experiments import Recipe

LINEAR = {"representation": "mel-song", "labels": "top50", "model": "linear"}  # all there is before a page is followed


@dataclass(frozen=True)
class Page:
    """A page of the guide: the file that it has the reader write, its code, settings and commands."""

    name: str

    @property
    def text(self) -> str:
        return (ROOT / "docs/guide" / self.name).read_text(encoding="utf-8")

    def of_kind(self, kind: str) -> list[Snippet]:
        return [snippet for snippet in snippets([ROOT / "docs/guide" / self.name]) if snippet.kind == kind]

    @property
    def code(self) -> str:
        return self.of_kind("python")[0].text

    @property
    def file(self) -> str:
        """The path of the first file of the package that the page names."""
        return re.findall(r"`(src/earmark/[\w/]+\.py)`", self.text)[0]

    @property
    def settings(self) -> dict[str, Any]:
        (snippet,) = self.of_kind("yaml")
        return yaml.safe_load(snippet.text)

    @property
    def stages(self) -> list[str]:
        """The stages that ran when ``dvc repro`` was written down, but ``settings``."""
        (session,) = self.of_kind("console")
        (shown,) = [command.output for command in commands(session) if command.line == "dvc repro"]
        return [stage for stage in re.findall(r"Running stage '([^']+)'", shown) if stage != "settings"]

    def module(self) -> ModuleType:
        """The code, executed."""
        made = ModuleType(f"page_{self.name}")
        exec(compile(self.code, self.name, "exec"), made.__dict__)
        return made

    def follow(self, clone: Clone) -> list[str]:
        """Write the file and the settings, run the pipeline, and return the stages that ran."""
        (clone.folder / self.file).write_text(self.code, encoding="utf-8")
        before = clone.params_now()
        clone.params(**{section: before[section] | entries for section, entries in self.settings.items()})
        return clone.repro()


NETWORK, REPRESENTATION, CORPUS = Page("own-network.md"), Page("own-representation.md"), Page("own-corpus.md")
LOOP, MODEL, RECIPES = Page("own-loop.md"), Page("own-model.md"), Page("recipes.md")
SYSTEMS = Page("systems.md")


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> Clone:
    """A clone with a small corpus and one experiment, after a first run; the pages are followed in it."""
    folder = tmp_path_factory.mktemp("guide") / "project"
    folder.mkdir()
    clone = Clone.of_this(folder, OMP_NUM_THREADS="1").warm()
    six_songs(folder / "corpus")
    own = clone.params_now()
    mel = {"mel-song": own["representations"]["mel-song"]}
    clone.params(
        corpus=SMALL["corpus"],
        representations=mel,
        experiments={"linear": LINEAR},
        evaluation={"resamples": 20, "seed": 1},
    )
    clone.repro()
    return clone


@pytest.fixture
def clone(followed: Clone) -> Iterator[Clone]:
    """The clone, with what the tests before have added; every model that is there stays as it is, to the byte."""
    before = models(followed)
    assert "linear" in before
    yield followed
    after = models(followed)
    assert {name: after[name] for name in before} == before


def models(clone: Clone) -> dict[str, tuple[bytes, int]]:
    """The bytes of every model, and when they were written."""
    paths = clone.folder.glob("data/models/*/model.safetensors")
    return {path.parent.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def above(name: str) -> list[str]:
    return ["code", f"train@{name}", f"evaluate@{name}", "report"]


# --- a network


def test_a_network_trains_its_own_experiment_and_an_edit_of_it_the_same_again(clone):
    assert sorted(NETWORK.follow(clone)) == sorted(NETWORK.stages) == sorted(above("mine"))
    assert re.search(r"^evaluate mine: .*ROC-AUC", clone.output, re.M)
    mine, (before, _) = clone.folder / NETWORK.file, models(clone)["mine"]
    mine.write_text(NETWORK.code.replace("nn.ReLU()", "nn.Tanh()"))
    assert sorted(clone.repro()) == sorted(above("mine"))
    assert models(clone)["mine"][0] != before


def test_the_network_of_the_page_scores():
    model = NETWORK.module().build(n_tags=4, frames=10, dims=6, units=8)
    assert model(torch.randn(2, 10, 6)).shape == (2, 4)


def test_a_model_that_fits_itself_is_trained_without_a_recipe(clone):
    assert sorted(MODEL.follow(clone)) == sorted(MODEL.stages) == sorted(above("ridge"))
    assert re.search(r"^train ridge: .*0 epochs", clone.output, re.M)


WRONG = {  # what a network is called, an edit of the page's, and what is told of it
    "torn": (("-> nn.Module:", "-> nn.Module"), "models/torn.py, line 21: expected ':'"),
    "narrow": (
        ("units: int = 64", "width: int = 64"),
        "unknown key experiments.narrow.network.units, got 128: narrow ",
    ),
    "faulty": (("return Pooled(", "return Poled("), "models/faulty.py, line 23: NameError: name 'Poled' is not define"),
}


@pytest.fixture
def own(clone: Clone) -> Iterator[Callable[..., None]]:
    """Write the page's network under other names, with an edit each, and an experiment for each; then undo it."""
    params, files = (clone.folder / "params.yaml").read_text(), []

    def write(**edits: tuple[str, str]) -> None:
        (entry,) = NETWORK.settings["experiments"].values()
        for name, (right, wrong) in edits.items():
            assert NETWORK.code.count(right) == 1
            files.append((clone.folder / NETWORK.file).with_name(f"{name}.py"))
            files[-1].write_text(NETWORK.code.replace(right, wrong))
        now = clone.params_now()["experiments"]
        clone.params(experiments=now | {name: entry | {"model": name} for name in edits})

    yield write
    (clone.folder / "params.yaml").write_text(params)
    for file in files:
        file.unlink()


def test_what_is_wrong_with_networks_is_told_in_a_line_each_before_anything_runs(clone, own):
    own(**{name: edit for name, (edit, _) in WRONG.items()})
    assert clone.repro(code=255) == []
    assert "failed to reproduce 'settings'" in clone.output
    assert "Traceback" not in clone.output
    for name, (_, told) in WRONG.items():
        assert len([line for line in clone.output.splitlines() if told in line]) == 1, name


def test_logits_of_another_shape_stop_the_training_with_one_line_before_its_first_epoch(clone, own):
    own(shaped=("dim=1))", "dim=1))[:1]"))
    clone.repro("train@shaped", code=255)
    assert "failed to reproduce 'train@shaped'" in clone.output
    assert "Traceback" not in clone.output
    assert (
        "error: experiments.shaped: models/shaped.py got 2 clips of (261, 128) (frames, dims) and must return logits "
        "(2, 3), but gave (1, 3)\n"
    ) in clone.output


def test_two_experiments_of_one_name_stop_the_pipeline_and_the_doctor_says_which_lines(clone, own):
    own()
    params = clone.folder / "params.yaml"
    line = "  twice: {representation: mel-song, labels: top50, model: linear}\n"
    params.write_text(params.read_text().replace("experiments:\n", f"experiments:\n{line}{line}"))
    clone.repro(code=255)  # DVC reads the file before any stage does
    assert 'found duplicate key "twice"' in clone.output
    assert "Traceback" not in clone.output
    number = params.read_text().splitlines().index(line.rstrip()) + 1
    told = f"params.yaml, line {number + 1}: the key 'twice' stands in line {number} already"
    assert told in clone.run("earmark", "doctor", code=1)


# --- a representation


def test_a_representation_is_computed_for_its_own_experiment(clone):
    ran = REPRESENTATION.follow(clone)
    new = ["features@loudness", "standardize@loudness-top50", *above("loud-linear")]
    assert sorted(ran) == sorted(REPRESENTATION.stages) == sorted(new)


def test_the_representation_of_the_page_transforms():
    build = REPRESENTATION.module().build
    transform = build(rate=100, n_samples=50, hop=20)
    found = transform(torch.full((3, 50), -0.5))
    assert found.shape == (3, transform.n_frames, transform.n_dims) == (3, 2, 1)
    assert found.is_contiguous()
    assert (found == 0.5).all()
    with pytest.raises(ValueError, match=r"hop must be in \(0, n_samples=50\], got 51"):
        build(rate=100, n_samples=50, hop=51)


# --- a loop


def test_a_loop_runs_on_what_the_pipeline_has_computed(clone):
    (shown,) = [command for session in LOOP.of_kind("console") for command in commands(session)]
    (clone.folder / "loop.py").write_text("\n".join(snippet.text for snippet in LOOP.of_kind("python")))
    assert shown.line == "python loop.py"
    number = r"\d\.\d{4}"
    form = rf"ROC-AUC {number} \({number} to {number}\)\n"
    assert re.fullmatch(form, shown.output.strip() + "\n")
    assert re.fullmatch(form, clone.run(sys.executable, "loop.py"))


# --- a corpus


def test_the_corpus_of_the_page_is_read_and_a_wrong_line_is_named(tmp_path):
    table, corpus = tmp_path / "acme.csv", CORPUS.module().corpus
    table.write_text("path,artist,tags\na/1.wav,Ann,slow;piano\nb/2.wav,Bob,fast\n", encoding="utf-8")
    for path in ("a/1.wav", "b/2.wav"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).touch()
    config = CorpusConfig(kind="table", audio=tmp_path, annotations=table)
    clips, tags = corpus(config)
    assert [(clip.path, clip.artist) for clip in clips] == [("a/1.wav", "Ann"), ("b/2.wav", "Bob")]
    assert tags.tags == ("slow", "piano", "fast")
    np.testing.assert_array_equal(tags.values, [[1, 1, 0], [0, 0, 1]])
    table.write_text("path,artist,tags\na/1.wav,Ann\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"acme\.csv, line 2: path, artist and tags expected, got 2 cells"):
        corpus(config)


# --- recipes


def test_the_recipe_of_the_page_is_one_and_its_experiment_takes_it(tmp_path):
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content = {key: value | RECIPES.settings.get(key, {}) for key, value in content.items()}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    config = load(tmp_path / "params.yaml")
    recipe = config.recipe_of(config.experiments["mel-patient"], "experiments", "mel-patient")
    assert recipe == config.recipes["patient"].model_copy(update={"weight_decay": 0.01})


def test_the_table_of_recipes_has_every_key_with_its_default_and_every_schedule():
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in RECIPES.text.splitlines() if row[:3] == "| `"]
    keys = {key.strip("`"): default for key, default, _ in (row for row in rows if len(row) == 3)}
    assert list(keys) == list(Recipe.model_fields)
    for key, field in Recipe.model_fields.items():
        default = "required" if field.is_required() else "none" if field.default is None else field.default
        default = str(default).lower() if isinstance(default, bool) else default
        assert keys[key].strip("`") == str(default), key
    schedules = [row[0].strip("`") for row in rows if len(row) == 2]
    assert schedules == list(get_args(Recipe.model_fields["schedule"].annotation))
    for key, field in Recipe.model_fields.items():  # what a key may say is named in its row, or in the second table
        if key != "schedule":
            row = next(row for row in rows if row[0] == f"`{key}`")
            assert not [
                value for value in get_args(field.annotation) if isinstance(value, str) and value not in str(row)
            ]


# --- published systems


def test_published_systems_are_listed_and_added_as_the_page_shows(tmp_path, monkeypatch, capsys):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "src").symlink_to(ROOT / "src")  # where the synonyms lie
    monkeypatch.chdir(tmp_path)
    session = [command for snippet in SYSTEMS.of_kind("console") for command in commands(snippet)]
    assert {command.line.split()[1] for command in session} == {"systems", "add"}
    for command in session:
        assert main(shlex.split(command.line)[1:]) == 0
        assert capsys.readouterr().out == command.output + "\n"
    with pytest.raises(SystemExit):
        main(["add", "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help", "--verbose", "--quiet", "--debug"}
    assert options == set(re.findall(r"^\| `(--[a-z-]+)", SYSTEMS.text, re.M)), "the table has all options"


# --- all of them


def test_every_page_is_followed_and_has_no_snippet_that_is_not():
    pages = (NETWORK, REPRESENTATION, CORPUS, LOOP, MODEL, RECIPES, SYSTEMS)
    followed = {page.name for page in pages} | {"sweeps.md"}  # tests/test_sweeps.py follows that one
    assert followed == {path.name for path in GUIDE}
    kinds = {page.name: [snippet.kind for snippet in snippets([ROOT / "docs/guide" / page.name])] for page in pages}
    one = ["python", "yaml", "console"]
    assert kinds == {
        NETWORK.name: one, REPRESENTATION.name: one, CORPUS.name: one, MODEL.name: one,
        LOOP.name: ["python", "python", "console"], RECIPES.name: ["yaml"],
        SYSTEMS.name: ["console"] * 5,
    }  # fmt: skip


def test_links_lead_somewhere():
    for path in GUIDE:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_another_corpus_runs_all_that_is_below_it(followed):
    """The last one in this file: it leaves other models behind."""
    music = followed.folder.parent / "data"
    shutil.copytree(followed.folder / "corpus/audio", music / "acme")
    paths = sorted(path.relative_to(music / "acme").as_posix() for path in music.rglob("*.mp3"))
    rows = [f"{path},Artist {i // 2},{('slow', 'fast')[i % 2]};music\n" for i, path in enumerate(paths)]
    (music / "acme.csv").write_text("path,artist,tags\n" + "".join(rows))
    (followed.folder / CORPUS.file).write_text(CORPUS.code)
    (snippet,) = CORPUS.of_kind("yaml")
    followed.params(
        **yaml.safe_load(snippet.text.replace("/data/", f"{music.as_posix()}/")),
        experiments={"linear": LINEAR},
        representations={"mel-song": followed.params_now()["representations"]["mel-song"]},
    )
    below = ["corpus", "labels@top50", "decode@16000", "features@mel-song", "standardize@mel-song-top50"]
    assert sorted(followed.repro()) == sorted(["demo", *below, *above("linear")])
    assert sorted(CORPUS.stages) == sorted(["demo", *below, *above("linear")])
    assert (followed.folder / "data/corpus/manifest.csv").read_text().count("Artist") == 12
