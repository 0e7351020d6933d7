from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from earmark.config import ConfigError, load


def params() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def loaded_with(tmp_path: Path, *path: str, value: Any) -> None:
    changed = copy.deepcopy(params())
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(changed), encoding="utf-8")
    load(file)


def test_the_projects_own_params_are_valid():
    config = load(ROOT / "params.yaml")
    assert config.waveforms[16000].samples == 465_984
    assert config.representations["mel"].options()["hop"] == 256


def test_sections_are_immutable():
    config = load(ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        config.labels.top = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("labels", "topp"), 5, r"unknown key labels\.topp, got 5"),
        (("representations", "mel", "hopp"), 5, r"unknown key representations\.mel\.hopp, got 5"),
        (("representations", "mel", "hop"), -256, r"representations\.mel\.hop: .*greater than 0, got -256"),
        (("representations", "mel", "hop"), 1024, r"hop must be in \(0, n_fft=512\], got 1024"),
        (
            ("representations", "mel", "rate"),
            12000,
            r"representations\.mel\.rate must be one of waveforms \[16000\], got 12000",
        ),
        (
            ("representations", "mel", "samples"),
            500000,
            r"samples must be at most waveforms\.16000\.samples=465984, got 500000",
        ),
        (
            ("experiments", "linear", "representation"),
            "mell",
            r"experiments\.linear\.representation must be one of .*'mell'",
        ),
        (
            ("experiments", "linear", "preset"),
            "fast",
            r"experiments\.linear\.preset: .*'published' or 'demo', got 'fast'",
        ),
        (
            ("waveforms", "16000", "max_rejected"),
            2,
            r"waveforms\.16000\.max_rejected: .*less than or equal to 1, got 2",
        ),
        (("corpus", "kind"), "gtzan", r"corpus\.kind: .*'folders' or 'jamendo', got 'gtzan'"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_limit(tmp_path, path, value, message):
    with pytest.raises(ConfigError, match=message):
        loaded_with(tmp_path, *path, value=value)


def test_a_missing_key_is_named(tmp_path):
    changed = params()
    del changed["labels"]["top"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"key labels\.top is missing"):
        load(tmp_path / "params.yaml")


def test_text_that_is_no_yaml_is_an_error(tmp_path):
    (tmp_path / "params.yaml").write_text("labels: [", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load(tmp_path / "params.yaml")
