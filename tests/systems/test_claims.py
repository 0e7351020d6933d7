"""What an experiment has otherwise than the published system that it claims to be is named, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from helpers import ROOT

from earmark.config import Config, ConfigError
from earmark.models import networks
from earmark.systems import entries, published
from earmark.systems.claims import changes, claimed
from earmark.systems.published import SYSTEMS

OWN = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def settings(name: str, entry: dict[str, Any] | None = None, heard: dict[str, Any] | None = None) -> Config:
    """The settings of a published system alone, with changes of its entry and of its representation."""
    system = published.get(name)
    made = entries.experiment(system, "one", "heard", "top50", system.recipe, ("a", "b"))
    section = "experiments" if system.task == "tags" else "crossvalidations"
    recipes = {} if system.recipe is None else {system.recipe: entries.recipe(system.recipe)}
    return Config.model_validate(
        OWN
        | {
            "waveforms": {rate: {"samples": 600_000} for rate in (8_000, 12_000, 16_000, 22_050)},
            "representations": {"heard": entries.representation(system) | (heard or {})},
            "recipes": recipes,
            "experiments": {},
            section: {"one": made | (entry or {})},
        }
    )


def changed(name: str, entry: dict[str, Any] | None = None, heard: dict[str, Any] | None = None) -> list[str]:
    config = settings(name, entry, heard)
    experiment = (config.experiments | config.crossvalidations)["one"]
    return changes(published.get(name), experiment, config)


@pytest.mark.parametrize("name", SYSTEMS)
def test_of_an_exact_one_nothing_is_named(name):
    assert changed(name) == []


@pytest.mark.parametrize("name", SYSTEMS)
def test_nothing_is_named_if_defaults_are_written_out(name):
    system = published.get(name)
    assert changed(name, entry={"network": networks.resolve(system.family, system.options)}) == []


@pytest.mark.parametrize(
    ("name", "entry", "heard", "told"),
    [
        ("crnn", {}, {"n_mels": 64}, ["n_mels 64, not 96"]),
        ("crnn", {}, {"rate": 16_000}, ["rate 16000, not 12000"]),
        ("crnn", {}, {"samples": 300_000}, ["samples 300000, not 349440"]),
        ("crnn", {}, {"fmin": 40.0, "htk": True}, ["fmin 40.0, not 0.0", "htk True, not False"]),
        ("crnn", {}, {"fmin": 0.0, "log_amplitude": True}, []),
        ("crnn", {}, {"dtype": "float16"}, []),
        ("crnn", {"network": {"units": 64}}, {}, ["units 64, not 32"]),
        ("crnn", {"network": {"units": 64, "layers": 1}}, {"hop": 512}, ["hop 512, not 256", "layers 1, not 2",
                                                                         "units 64, not 32"]),
        ("crnn", {"model": "bilstm", "network": {}}, {}, ["model bilstm, not crnn"]),
        ("fcn-4", {"network": {"pools": [[2, 4], [2, 4], [2, 4], [3, 5]]}}, {},
         ["pools [[2, 4], [2, 4], [2, 4], [3, 5]], not [[4, 2], [5, 4], [8, 3], [8, 4]]"]),
        ("scat-5l-512h-gru", {"network": {"initialization": "glorot"}}, {}, ["cell gru, not gru-paper"]),
        ("scat-5l-512h-gru", {}, {"normalization": "log"}, ["normalization log, not song"]),
        ("scat-5l-512h-gru", {}, {"Q": (4, 1)}, ["Q [4, 1], not [8, 1]"]),
        ("mirex-5l-512h-lstm", {"network": {"cell": "gru", "initialization": "glorot"}}, {}, ["cell gru, not lstm"]),
        ("mel-bilstm-segments", {"places": "random"}, {}, ["places random, not fixed"]),
        ("musicnn", {"excerpt": 100}, {}, ["excerpt 100, not 187"]),
        ("musicnn", {"excerpt": 0.25}, {}, ["excerpt 0.25, not 187"]),
        ("musicnn", {"batch": 8, "learning_rate": 0.1, "seeds": [1, 2]}, {}, []),
    ],
)  # fmt: skip
def test_each_kind_of_setting_that_differs_is_named(name, entry, heard, told):
    assert changed(name, entry, heard) == told


def test_another_kind_of_input_is_named_without_the_options_that_only_one_of_them_has():
    config = settings("crnn")
    other = settings("sample-cnn-song").representations["heard"]
    config = config.model_copy(update={"representations": {"heard": other}})
    assert changes(published.get("crnn"), config.experiments["one"], config) == ["kind waveform, not mel"]


def test_excerpts_of_another_number_or_none_at_all_are_named():
    assert changed("musicnn", {"excerpts": 3}) == ["excerpts 3, not 9"]
    assert changed("musicnn", {"excerpt": 1, "excerpts": None}) == ["excerpt 1, not 187", "excerpts None, not 9"]


@pytest.mark.parametrize("name", ["mel-2d-cnn", "mel-5l-512h-gru", "scat-4l-cnn"])
def test_excerpts_of_what_was_published_on_whole_clips_are_named(name):
    """Such a network is another one for other numbers of frames."""
    assert changed(name, {"excerpt": 0.5}) == ["excerpt 0.5, not 1"]


def test_a_recurrent_network_may_be_trained_on_excerpts_and_is_scored_on_whole_clips():
    """Its quick recipe takes an eighth of a clip at a step; that is no change of the network."""
    assert changed("scat-5l-512h-gru", {"excerpt": 0.125}) == []


def test_an_entry_claims_to_be_the_system_of_its_name_or_the_one_that_it_names():
    experiment = settings("crnn").experiments["one"]
    named = experiment.model_copy(update={"system": "crnn"})
    assert claimed("mine", experiment.model_copy(update={"system": None})) is None
    assert claimed("crnn", experiment.model_copy(update={"system": None})) is published.get("crnn")
    assert claimed("fcn-4", named) is published.get("crnn"), "what it says counts more than its name"


def test_a_system_that_is_none_is_refused_with_near_names():
    experiment = settings("crnn").experiments["one"].model_copy(update={"system": "scat-5l-512-gru"})
    with pytest.raises(ConfigError, match=r"^mine: system must be one of the \d+ .*close to scat-5l-512h-gru"):
        claimed("mine", experiment)
