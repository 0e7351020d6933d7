"""What every section of params.yaml has in common: it is immutable and strict, and its errors are in plain words."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from earmark.errors import EarmarkError
from earmark.storage import provenance

Seed = Annotated[int, Field(ge=0, lt=2**32)]  # every random generator takes these
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=100)]  # part of commands and of files' names


class ConfigError(EarmarkError):
    """A setting that cannot be used; the text names the key, the limit and the value."""


def one_of(folder: str, kind: str) -> str:
    """Return a kind that is a file of that folder. Raises ValueError with the kinds that are there."""
    if kind not in (kinds := provenance.plugins(folder)):
        door = provenance.DOORS[folder]
        file = provenance.PACKAGE / folder.replace(".", "/") / f"{kind[:100] if kind.isidentifier() else ''}.py"
        lacking = f": {file.name} is there, but has no `{door}` at its top level" if file.is_file() else ""
        raise ValueError(f"must be one of {', '.join(kinds)}, got {kind!r}{lacking or near(kind, kinds)}")
    return kind


def near(name: object, names: Iterable[object]) -> str:
    """Return ``: close to ...`` with up to three names that look like ``name``, or nothing.

    >>> near("sclinear", ["linear", "crnn"])
    ': close to linear'
    """
    close = difflib.get_close_matches(str(name), list(map(str, names)), n=3, cutoff=0.5)
    return f": close to {', '.join(close)}" if close else ""


class Section(BaseModel):
    """Base of all sections: they are immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _values_are_what_they_seem(cls, values: Any) -> Any:
        for key, value in values.items() if isinstance(values, dict) else ():
            field = cls.model_fields.get(str(key))
            taken = {"bool", "Any"} if field is None else set(re.findall(r"\w+", str(field.annotation)))
            for one in _inside(value):
                if isinstance(one, bool) and not taken & {"bool", "Any"}:
                    raise ValueError(f"{key} must not be true or false, got {value!r} (YAML reads yes, no, on, off so)")
                if isinstance(one, str) and "\0" in one:
                    raise ValueError(f"{key} must hold no NUL character, got {value!r}")
        return values


def _inside(value: object) -> Iterator[object]:
    """Yield a value, or those of a list and of the lists in it."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from _inside(one)
    else:
        yield value


def in_one_line(error: ValidationError) -> str:
    """Return what is wrong with settings that were stored, without pydantic's own words."""
    return "; ".join(explain(each, "unknown here") for each in error.errors())


def explain(error: Any, hint: str, *above: str, names: Iterable[str] = ()) -> str:
    """Return one of pydantic's errors as ``key: limit, got value``.

    hint: what explains an unknown key. above: the keys that lead to what was validated. names: the keys that there are,
    of which those that look like an unknown one are told.
    """
    key = ".".join(map(str, (*above, *error["loc"])))
    got = reprlib.repr(error["input"])
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}, got {got}: {hint}{near(error['loc'][-1], names)}"
    if error["type"] == "missing":
        return f"key {key} is missing"
    if error["type"] in ("model_type", "dict_type"):
        return f"{key} must be a mapping of settings, got {got}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{key + ': ' if key else ''}{message}"
    return f"{key}: {message[0].lower()}{message[1:]}, got {got}"
