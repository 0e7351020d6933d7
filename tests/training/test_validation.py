"""Settings that no system can be trained with are refused before anything is trained."""

from __future__ import annotations

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


def config(tmp_path, section="experiments", name="mine", **entry):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["representations"] = {"small": {"kind": "mel", "rate": 16_000, "samples": 20_000}}
    content |= {"experiments": {}, section: {name: {"representation": "small", "model": "recurrent"} | entry}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    return load(tmp_path / "params.yaml")


def test_the_projects_own_settings_can_be_trained(tmp_path):
    validation.require(load(ROOT / "params.yaml"))
    validation.require(config(tmp_path, system="scat-4l-512h-bn-lstm", batch=2))
    validation.require(
        config(tmp_path, "crossvalidations", system="mirex-5l-512h-lstm", classes=["medieval", "baroque"])
    )


@pytest.mark.parametrize("name", [s.name for s in published.SYSTEMS.values() if s.task == "classes"])
def test_a_system_of_exclusive_classes_is_sent_to_its_place(tmp_path, name):
    model = published.get(name).family
    for entry in ({"name": name, "model": model}, {"system": name, "model": model}):
        with pytest.raises(
            ConfigError, match=rf"^experiments\..*: the system '{name}' .* its place is crossvalidations"
        ):
            validation.require(config(tmp_path, **entry))


@pytest.mark.parametrize("section", ["experiments", "crossvalidations"])
def test_a_system_that_is_unknown_or_of_another_family_is_named(tmp_path, section):
    more = {"classes": ["medieval", "baroque"]} if section == "crossvalidations" else {}
    with pytest.raises(ConfigError, match=rf"^{section}\.mine: system must be one of .*got 'mine'"):
        validation.require(config(tmp_path, section, **more))
    with pytest.raises(ConfigError, match=rf"^{section}\.mine\.model must be 'crnn', .* got 'recurrent'"):
        validation.require(config(tmp_path, section, system="crnn", **more))


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    first = config(tmp_path, name="a")
    mel = RepresentationConfig(kind="mel", rate=16_000, samples=20_000, hop=1024)
    more = {"experiments": first.experiments | {"b": first.experiments["a"]}, "representations": {"mel": mel}}
    with pytest.raises(ConfigError) as refused:
        validation.require(first.model_copy(update=more))
    named = [line.split(" ")[0].rstrip(":") for line in str(refused.value).splitlines()]
    assert named == ["representations.mel.hop", "experiments.a", "experiments.b"]


def test_every_line_names_the_file_when_it_is_read_from_one(tmp_path):
    config(tmp_path, name="a")
    with pytest.raises(ConfigError, match=r"params\.yaml: experiments\.a: system must be"):
        validation.load(tmp_path / "params.yaml")


NORMALISED = [
    "scat-4l-256h-bn-lstm",
    "mel-2d-cnn",
    "crnn",
    "musicnn",
    "short-chunk-cnn-res",
    "harmonic-cnn",
    "sample-cnn",
]


@pytest.mark.parametrize("name", NORMALISED)
def test_batches_of_one_clip_are_refused_where_the_network_has_batch_norm(tmp_path, name):
    family = published.get(name).family
    with pytest.raises(
        ConfigError, match=r"^experiments\.mine\.batch must leave 2 clips .*, got 1: .*batch norm, .*no deviation"
    ):
        validation.require(config(tmp_path, system=name, model=family, batch=1))


def test_batches_of_one_clip_are_fine_without_batch_norm(tmp_path):
    validation.require(config(tmp_path, system="scat-5l-512h-gru", batch=1))
    validation.require(config(tmp_path, name="linear", model="linear", batch=1))


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
