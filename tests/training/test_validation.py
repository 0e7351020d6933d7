"""Settings that no system can be trained with are refused before anything is trained."""

from __future__ import annotations

import json

import pytest
import torch
import yaml
from helpers import ROOT
from helpers.model_checks import single_thread
from helpers.own_code import write_own as write_own
from torch import nn

from earmark.config import ConfigError, RepresentationConfig, load
from earmark.storage import provenance
from earmark.systems import published
from earmark.training import validation

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)


def config(tmp_path, section="experiments", name="mine", small=None, **entry):
    """The project's settings with one small representation and one entry."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["representations"] = {"small": small or {"kind": "mel", "rate": 16_000, "samples": 60_000}}
    common = {"representation": "small", "labels": "top50", "model": "recurrent", "recipe": "quick"} | entry
    content |= {"experiments": {}, section: {name: {key: v for key, v in common.items() if v is not None}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    return load(tmp_path / "params.yaml")


def test_the_projects_own_settings_can_be_trained(tmp_path):
    validation.require(load(ROOT / "params.yaml"))
    validation.require(config(tmp_path, network={"cell": "bn-lstm"}, batch=2))
    validation.require(
        config(tmp_path, "crossvalidations", system="mirex-5l-512h-lstm", classes=["medieval", "baroque"])
    )


@pytest.mark.parametrize("name", [s.name for s in published.SYSTEMS.values() if s.task == "classes"])
def test_a_system_of_exclusive_classes_is_sent_to_its_place(tmp_path, name):
    for entry in ({"name": name}, {"system": name}):
        with pytest.raises(
            ConfigError, match=rf"^experiments\..*: the system '{name}' .* its place is crossvalidations"
        ):
            validation.require(config(tmp_path, **entry))


@pytest.mark.parametrize("section", ["experiments", "crossvalidations"])
def test_a_system_that_is_unknown_is_named_with_its_neighbours(tmp_path, section):
    more = {"classes": ["medieval", "baroque"]} if section == "crossvalidations" else {}
    with pytest.raises(ConfigError, match=r"mine: system must be one of .*got 'crn': close to crnn"):
        validation.require(config(tmp_path, section, system="crn", **more))


@pytest.mark.parametrize("section", ["experiments", "crossvalidations"])
@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"network": {"unit": 3}}, r"unknown key {}\.network\.unit, got 3: recurrent takes cell, layers, units, "),
        ({"network": {"units": "x"}}, r"{}\.network\.units: input should be a valid integer, .*got 'x'"),
        ({"network": {"cell": "grou"}}, r"{}\.network\.cell: .*'gru'.* got 'grou'"),
        ({"recipe": None}, r"{}\.recipe is missing: recurrent is trained by one of those in `recipes`"),
        ({"model": "linear"}, r"{}\.recipe: linear fits itself and takes no recipe"),
        ({"model": "linear", "recipe": None, "batch": 4}, r"{}\.\w+ is missing"),
        ({"model": "convolutional", "small": {"kind": "mel", "rate": 16_000, "samples": 5_000}},
         r"{}: convolutional does not fit an input of 20 frames of 96 dims: frames must be at least 46, got 20"),
        ({"excerpt": 300}, r"{}\.excerpt must be at most the frames of a clip, 235, got 300"),
    ],
)  # fmt: skip
def test_a_network_that_cannot_be_trained_so_is_refused_before_anything_is_computed(tmp_path, section, entry, told):
    more = {"classes": ["medieval", "baroque"]} if section == "crossvalidations" else {}
    with pytest.raises(ConfigError, match=told.format(rf"{section}\.mine")):
        validation.require(config(tmp_path, section, **entry, **more))


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    first = config(tmp_path, name="a", network={"unit": 3})
    mel = RepresentationConfig(kind="mel", rate=16_000, samples=20_000, n_mels=0)
    more = {"experiments": first.experiments | {"b": first.experiments["a"]}}
    with pytest.raises(ConfigError) as refused:
        validation.require(first.model_copy(update=more | {"representations": {"small": mel}}))
    named = [line.split(" ")[0] for line in str(refused.value).replace("unknown key ", "").splitlines()]
    assert named == ["representations.small.n_mels", "experiments.a.network.unit,", "experiments.b.network.unit,"]


def test_labels_cannot_want_splits_that_the_corpus_stage_has_dealt_anew(tmp_path):
    dealt = config(tmp_path, name="a")
    labels = {name: one.model_copy(update={"split": "corpus"}) for name, one in dealt.labels.items()}
    validation.require(dealt.model_copy(update={"labels": labels}))
    corpus = dealt.corpus.model_copy(update={"split": "artist"})
    name = next(iter(labels))
    with pytest.raises(ConfigError, match=rf"^labels\.{name}\.split must be .* got 'corpus'"):
        validation.require(dealt.model_copy(update={"labels": labels, "corpus": corpus}))


def test_every_line_names_the_file_when_it_is_read_from_one(tmp_path):
    config(tmp_path, name="a", network={"unit": 3})
    with pytest.raises(ConfigError, match=r"params\.yaml: unknown key experiments\.a\.network\.unit"):
        validation.load(tmp_path / "params.yaml")


NORMALISED = {
    "recurrent": {"cell": "bn-lstm", "layers": 1, "units": 4},
    "convolutional": {},
    "crnn": {},
    "musicnn": {},
    "short_chunk": {},
}


@pytest.mark.parametrize("model", NORMALISED)
def test_batches_of_one_clip_are_refused_where_the_network_has_batch_norm(tmp_path, model):
    with pytest.raises(
        ConfigError, match=r"^experiments\.mine\.batch must leave 2 clips .*, got 1: .*batch norm, .*no deviation"
    ):
        validation.require(config(tmp_path, model=model, network=NORMALISED[model], batch=1))


def test_batches_of_one_clip_are_fine_without_batch_norm(tmp_path):
    validation.require(config(tmp_path, network={"cell": "gru", "units": 4}, batch=1))
    validation.require(config(tmp_path, model="linear", recipe=None))


def test_the_recipe_of_an_entry_is_written_with_nothing_of_another(tmp_path):
    config(tmp_path, recipe="quick", epochs=3)
    validation.judge(tmp_path / "params.yaml", tmp_path / "out")
    written = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert written == {"verdict", "experiments/mine.json"}
    quick = yaml.safe_load((ROOT / "params.yaml").read_text())["recipes"]["quick"]
    assert json.loads((tmp_path / "out/experiments/mine.json").read_text()) == {"recipe": quick}


def test_every_network_with_batch_norm_is_recognised():
    """By what breaks: a step on one clip of one frame's worth of values, told by the names of the modules."""
    for name, system in published.SYSTEMS.items():
        with torch.device("meta"):
            network = published.build(name, 2)
        named = {type(m).__name__ for m in network.modules()}
        assert validation.has_batch_norm(network) == bool(named & {"BatchNorm1d", "BatchNorm2d", "StepNorm"}), system


@pytest.mark.parametrize(
    ("batch", "clips", "processes", "smallest"),
    [(2, 5, 1, 1), (16, 1, 1, 1), (4, 8, 4, 4), (16, 17, 8, 8), (16, 33, 1, None), (2, 6, 1, None), (3, 4, 1, None)],
)
def test_the_smallest_batch_counts_and_each_process_needs_two_clips_of_it(batch, clips, processes, smallest):
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    if smallest is None:
        validation.require_batches("experiments.x", network, batch, clips, processes)
        return
    told = rf"experiments\.x\.batch must leave 2 .* got {batch} for {clips} training clips, .* holds {smallest}:"
    with pytest.raises(ConfigError, match=told):
        validation.require_batches("experiments.x", network, batch, clips, processes)
    validation.require_batches("experiments.x", nn.Linear(2, 2), batch, clips, processes)


@pytest.mark.parametrize(("look", "told"), [("item()", None), ("items()", "has no attribute 'items'")])
def test_a_network_that_looks_at_its_values_is_judged_with_them(tmp_path, monkeypatch, write_own, look, told):
    """Where networks are judged without any weights, it fails, and is no worse for it."""
    own = "from torch import nn\ndef build(n_tags, frames, dims):\n    layer = nn.Linear(dims, n_tags)\n"
    write_own(own + f"    layer.first = layer.weight[0, 0].{look}\n    return layer\n")
    ours = provenance.plugins
    monkeypatch.setattr(provenance, "plugins", lambda folder: [*ours(folder), "mine"])
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    mine = {"representation": "mel", "labels": "top50", "model": "mine", "recipe": "quick"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content | {"experiments": {"mine": mine}}))
    settings = load(tmp_path / "params.yaml")
    if told is None:
        validation.require(settings)
    else:
        with pytest.raises(ConfigError, match=rf"^experiments\.mine: .*mine\.py, line 4: AttributeError: .*{told}$"):
            validation.require(settings)
