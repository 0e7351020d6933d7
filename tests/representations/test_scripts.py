"""A Python file that a model names runs only if params.yaml names it, too."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from helpers import ROOT

from earmark.config import RepresentationConfig
from earmark.errors import EarmarkError
from earmark.representations import scripts


def heard(**options) -> RepresentationConfig:
    return RepresentationConfig(**{"kind": "encoder", "rate": 16_000, "samples": 16_000} | options)


IN_PARTS = heard(kind="joint", frames=2, parts={"a": {"kind": "encoder", "file": "a.onnx"}, "b": {"kind": "mel"}})
IN_A_FRONT = heard(file="a.onnx", front={"kind": "joint", "parts": {"x": {"kind": "encoder", "file": "b.py"}}})


def test_the_files_of_parts_and_fronts_are_among_those_of_a_representation():
    assert scripts.files(heard(kind="mel")) == []
    assert scripts.files(IN_PARTS) == [Path("a.onnx")]
    assert scripts.files(IN_A_FRONT) == [Path("a.onnx"), Path("b.py")]


def test_a_representation_finds_its_files_where_they_were_placed():
    found = scripts.placed(IN_A_FRONT, lambda file: f"there/{file}")
    assert scripts.files(found) == [Path("there/a.onnx"), Path("there/b.py")]
    assert scripts.placed(found, lambda file: file.removeprefix("there/")) == IN_A_FRONT


@pytest.mark.parametrize("representation", [heard(file="b.py"), IN_A_FRONT])
def test_a_python_file_is_refused_unless_params_yaml_names_it(tmp_path, monkeypatch, representation):
    monkeypatch.chdir(tmp_path)
    told = r"the model hears through the Python file b\.py, which runs only if params\.yaml .* under `encoders`"
    with pytest.raises(EarmarkError, match=told):
        scripts.require_own(representation, "the model")
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(EarmarkError, match=told):
        scripts.require_own(representation, "the model")
    content["encoders"] = {"mine": {"kind": "encoder", "rate": 16_000, "samples": 16_000, "file": "b.py"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    scripts.require_own(representation, "the model")
    scripts.require_own(representation, "the model", tmp_path / "params.yaml")


def test_what_runs_no_python_file_needs_no_params_yaml():
    scripts.require_own(IN_PARTS, "the model", Path("nowhere/params.yaml"))
