"""What every section of params.yaml has in common: it is immutable and strict, and its errors are in plain words."""

from __future__ import annotations

import reprlib
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from earmark.errors import EarmarkError
from earmark.storage import provenance


class ConfigError(EarmarkError):
    """A setting that cannot be used; the text names the key, the limit and the value."""


def one_of(folder: str, kind: str) -> str:
    """Return a kind that is a file of that folder. Raises ValueError with the kinds that are there."""
    if kind not in (kinds := provenance.plugins(folder)):
        raise ValueError(f"must be one of {', '.join(kinds)}, got {kind!r}")
    return kind


class Section(BaseModel):
    """Base of all sections: they are immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def in_one_line(error: ValidationError) -> str:
    """Return what is wrong with settings that were stored, without pydantic's own words."""
    return "; ".join(explain(each, "unknown here") for each in error.errors())


def explain(error: Any, hint: str, *above: str) -> str:
    """Return one of pydantic's errors as ``key: limit, got value``.

    hint: what explains an unknown key. above: the keys that lead to what was validated.
    """
    key = ".".join(map(str, (*above, *error["loc"])))
    got = reprlib.repr(error["input"])
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}, got {got}: {hint}"
    if error["type"] == "missing":
        return f"key {key} is missing"
    if error["type"] in ("model_type", "dict_type"):
        return f"{key} must be a mapping of settings, got {got}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{key + ': ' if key else ''}{message}"
    return f"{key}: {message[0].lower()}{message[1:]}, got {got}"
