"""What the file of a model must hold beside its weights, and of which types: its checksum alone does not say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from earmark.sections import explain

VECTORS = ("standardizer.mean", "standardizer.inverse_std")  # the tensors that standardise features
LARGEST = 1e30  # of their values: far more than a standardizer is fitted to, far less than what overflows


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"must hold no control characters, got {text!r}")
    return text


def _identifier(family: str) -> str:
    if not family.isidentifier():
        raise ValueError(f"must be the name of a module in models, got {family!r}")
    return family


def _distinct(tags: list[str]) -> list[str]:
    tag, times = Counter(tags).most_common(1)[0]
    if times > 1:
        raise ValueError(f"must name each tag once, got {tag!r} {times} times")
    return tags


Count = Annotated[int, Field(gt=0, lt=2**31)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_printable)]


class _Strict(BaseModel):
    """No value is taken for one of another type. Keys that are unknown here may be of another version."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Network(_Strict):
    family: Annotated[str, AfterValidator(_identifier)]
    options: dict[str, Any]


class _Training(_Strict):
    excerpt_frames: Count
    excerpts: Count
    whole_file: bool = False


class _Content(_Strict):
    """The fields of ``SavedModel`` that are JSON as they are; representation and waveform have classes of their own."""

    experiment: Text
    network: _Network
    frames: Count
    dims: Count
    network_frames: Count
    representation: dict[str, Any]
    waveform: dict[str, Any]
    tags: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1), AfterValidator(_distinct)]
    thresholds: list[float | None]
    exclusive: bool
    training: _Training
    code: dict[str, str]
    makers: dict[str, Any]
    clips: Annotated[int, Field(ge=0)]


def fault(content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return what is wrong: the key, what it must be, and the value; nothing if all of it can be used.

    content: the JSON of a file. tensors: those of the file, by name.
    """
    try:
        found = _Content.model_validate(dict(content))
    except ValidationError as error:
        return explain(error.errors()[0], "")  # one of them: there may be as many as tags
    if len(found.thresholds) != len(found.tags):
        return f"thresholds must be {len(found.tags)}, one per tag, got {len(found.thresholds)}"
    for key, value in (("network_frames", found.network_frames), ("excerpt_frames", found.training.excerpt_frames)):
        if value > found.frames:
            return f"{key} must be at most the frames of a clip, {found.frames}, got {value}"
    return next(filter(None, (_fault_of_vector(name, tensors.get(name), found.dims) for name in VECTORS)), "")


def _fault_of_vector(name: str, values: Tensor | None, dims: int) -> str:
    if values is None or values.dtype != torch.float32 or tuple(values.shape) != (dims,):
        got = "none" if values is None else f"{values.dtype} of shape {tuple(values.shape)}".removeprefix("torch.")
        return f"{name} must be float32 of shape ({dims},), one value per dim, got {got}"
    least = 0.0 if name.endswith("inverse_std") else -LARGEST
    bad = values[~((values >= least) & (values < LARGEST))].tolist()
    return f"{name} must be from {least:g} to {LARGEST:g}, got {bad[0]:g}" if bad else ""
