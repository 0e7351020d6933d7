"""A network, a representation or a corpus of one's own is used by its file's name, and its faults are told by line."""

from __future__ import annotations

import re

import pytest
from helpers.own_code import write_own as write_own

from earmark import doors
from earmark.sections import ConfigError, one_of
from earmark.storage import provenance

INPUTS = {"models": ("n_tags", "frames", "dims"), "representations": ("rate", "n_samples"), "corpus.kinds": ("config",)}


def told(*arguments: str) -> str:
    """The one line of the error that opening a kind raises."""
    with pytest.raises(ConfigError) as caught:
        doors.options(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("folder", INPUTS)
def test_every_folder_opens_a_file_of_ones_own_and_tells_what_is_wrong_with_it(write_own, folder):
    door, inputs = provenance.DOORS[folder], INPUTS[folder]
    write_own(f"def {door}({', '.join(inputs)}, *, units: int = 3): ...\n", folder=folder)
    assert list(doors.options(folder, "mine", *inputs)) == ["units"]
    file = write_own(f"import os\n\ndef {door}(:\n", "torn", folder)
    assert told(folder, "torn", *inputs) == f"{file}, line 3: invalid syntax"
    file = write_own("import os\n\nimport no_such_library\n", "lacking", folder)
    assert told(folder, "lacking", *inputs) == (
        f"{file}, line 3: ModuleNotFoundError: No module named 'no_such_library'"
    )
    file = write_own("def other(): ...\n", "closed", folder)
    assert told(folder, "closed", *inputs) == f"{file}: `{door}` must be a function or class at its top level, got None"
    file = write_own(f"{door} = 3\n", "number", folder)
    assert told(folder, "number", *inputs) == f"{file}: `{door}` must be a function or class at its top level, got 3"
    file = write_own(f"def {door}(first, *rest): ...\n", "strange", folder)
    assert told(folder, "strange", *inputs) == (
        f"{file}: `{door}` must take {', '.join(inputs)} by these names, but {', '.join(inputs)} cannot be given: it "
        f"is {door}(first, *rest)"
    )


def test_the_line_of_a_fault_is_ones_own_and_not_that_of_a_library(write_own):
    file = write_own(
        """
        import json


        def read():
            return json.loads("{")


        SETTINGS = read()
        """
    )
    assert told("models", "mine") == (
        f"{file}, line 6: JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    )


def test_an_annotation_that_means_nothing_when_the_file_runs_is_named(write_own):
    file = write_own("from __future__ import annotations\ndef build(n_tags: int, size: Size): ...\n")
    assert told("models", "mine") == (
        f"{file}: the signature of `build` cannot be read: NameError: name 'Size' is not defined; its annotations must "
        "be names that the file knows when it runs"
    )


@pytest.mark.parametrize(
    "option",
    [
        "layer: torch.nn.Module",
        "layer=torch.nn.ReLU()",
        "layer=torch.nn.ReLU",
    ],
)
def test_an_option_that_params_yaml_cannot_hold_is_refused(write_own, option):
    file = write_own(f"import torch\ndef build(*, {option}): ...\n")
    with pytest.raises(
        ConfigError, match=f"^{re.escape(str(file))}: the options of `build` must be numbers, texts, li"
    ):
        doors.complete("models", "mine", {}, ("experiments", "mine", "network"), ())


def test_an_option_may_be_called_as_what_pydantic_calls_its_own(write_own):
    write_own("def build(*, copy: int = 1, model_size: int = 2, schema: str = 'x'): ...\n")
    assert doors.complete("models", "mine", {"copy": "3"}, (), ()) == {"copy": 3, "model_size": 2, "schema": "x"}


def test_a_file_that_is_not_utf_8_is_named(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/mine.py").write_bytes("# -*- coding: latin-1 -*-\n# größer\n".encode("latin-1"))
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    with pytest.raises(ValueError, match=r"models/mine\.py is not UTF-8 at byte 30: save it in that encoding"):
        one_of("models", "mine")
