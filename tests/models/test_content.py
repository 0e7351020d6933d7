"""A model whose checksum is right may still hold what nothing can be predicted by: it is told in one line."""

from __future__ import annotations

import pytest
import torch
from helpers.families import SMALL, model
from safetensors import safe_open

from earmark.models import saved
from earmark.models.saved import ModelError, SavedModel

MEAN, INVERSE = "standardizer.mean", "standardizer.inverse_std"


@pytest.fixture
def rewritten(tmp_path):
    """Write a model with other content and the checksum of that, and return its file."""

    def write(keys=(), value=None, tensors=None):
        path = tmp_path / "m.safetensors"
        model("linear", *SMALL["linear"]).save(path)
        content, held = saved._read(path)
        if keys:
            inner = content
            for key in keys[:-1]:
                inner = inner[key]
            if value is KeyError:
                del inner[keys[-1]]
            else:
                inner[keys[-1]] = value
        held = {name: tensor.contiguous() for name, tensor in (held | (tensors or {})).items()}
        content["checksum"] = saved._checksum(content, held)
        path.write_bytes(saved.to_bytes(held, {"earmark": saved._canonical(content)}))
        return path

    return write


@pytest.mark.parametrize(
    ("keys", "value", "told"),
    [
        ("experiment", 5, "experiment: input should be a valid string, got 5"),
        ("experiment", "\x1b[31m", r"experiment: must hold no control characters"),
        ("network", None, "network must be a mapping of settings, got None"),
        ("network.family", KeyError, "key network.family is missing"),
        ("network.family", "../x", "network.family: must be the name of a module in models, got '../x'"),
        ("network.options", [1], "network.options must be a mapping"),
        ("frames", "x", "frames: input should be a valid integer, got 'x'"),
        ("frames", 3, "network_frames must be at most the frames of a clip, 3, got 8"),
        ("dims", 10**10, "dims: input should be less than 2147483648"),
        ("dims", 8, r"standardizer.mean must be float32 of shape \(8,\), one value per dim, got .*\(7,\)"),
        ("network_frames", 10**12, "network_frames: input should be less than"),
        ("representation", [1], "representation must be a mapping"),
        ("waveform", None, "waveform must be a mapping"),
        ("tags", "abcd", "tags: input should be a valid list, got 'abcd'"),
        ("tags", [1, 2, 3, 4], "tags.0: input should be a valid string, got 1"),
        ("tags", ["a", "b", "a", "c"], "tags: must name each tag once, got 'a' 2 times"),
        ("tags", ["\ud800", "b", "c", "d"], "tags.0: input should be a valid string"),
        ("tags", [], "tags: list should have at least 1 item"),
        ("thresholds", [0.1], "thresholds must be 4, one per tag, got 1"),
        ("thresholds", [True] * 4, "thresholds.0: input should be a valid number, got True"),
        ("thresholds", [10**400] * 4, "thresholds.0: input should be a valid number"),
        ("exclusive", "false", "exclusive: input should be a valid boolean, got 'false'"),
        ("training", None, "training must be a mapping"),
        ("training.excerpt_frames", KeyError, "key training.excerpt_frames is missing"),
        ("training.excerpt_frames", 0, "training.excerpt_frames: input should be greater than 0, got 0"),
        ("training.excerpt_frames", 12, "excerpt_frames must be at most the frames of a clip, 11, got 12"),
        ("training.excerpts", -1, "training.excerpts: input should be greater than 0, got -1"),
        ("training.whole_file", 1, "training.whole_file: input should be a valid boolean"),
        ("code", ["features"], "code must be a mapping"),
        ("clips", "x", "clips: input should be a valid integer, got 'x'"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_named(rewritten, keys, value, told):
    path = rewritten(keys.split("."), value)
    with pytest.raises(ModelError, match=rf"m\.safetensors: {told}.*; train it again$") as caught:
        SavedModel.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (MEAN, torch.zeros(()), "mean must be float32 of shape"),
        (MEAN, torch.zeros(1, 1, 7), "mean must be float32 of shape"),
        (MEAN, torch.zeros(7, dtype=torch.bool), "got bool of shape"),
        (INVERSE, torch.ones(1), "inverse_std must be float32 of shape"),
        (INVERSE, torch.ones(7).double(), "got float64 of shape"),
        (INVERSE, torch.ones(7).half(), "got float16 of shape"),
        (INVERSE, torch.full((7,), -0.5), "inverse_std must be from 0 to 1e[+]30, got -0.5"),
        (INVERSE, torch.full((7,), 3e38), "inverse_std must be from 0 to 1e[+]30, got 3e[+]38"),
    ],
)
def test_a_vector_that_cannot_standardise_is_named(rewritten, name, value, told):
    path = rewritten(tensors={name: value})
    with pytest.raises(ModelError, match=rf"m\.safetensors: standardizer\..*{told}.*; train it again$"):
        SavedModel.load(path)


def test_what_later_versions_may_add_is_read(rewritten):
    assert SavedModel.load(rewritten(["training", "more"], 3)).training["more"] == 3
    assert SavedModel.load(rewritten(["more"], 3)).experiment == "mine"


def test_a_type_that_has_no_checksum_and_a_number_that_is_none_are_damage(rewritten, tmp_path):
    path = rewritten()
    with safe_open(path, framework="pt") as file:
        text = file.metadata()["earmark"]
    held = saved._read(path)[1]
    for other, told in (
        (saved.to_bytes(held | {"x": torch.zeros(3).bfloat16()}, {"earmark": text}), "BFloat16"),
        (saved.to_bytes(held, {"earmark": text.replace("false", "NaN")}), "not JSON compliant"),
    ):
        (tmp_path / "other").write_bytes(other)
        with pytest.raises(ModelError, match=rf"other is no model of earmark, or damaged .*{told}"):
            SavedModel.load(tmp_path / "other")
