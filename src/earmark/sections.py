"""What every section of params.yaml has in common: it is immutable and strict, and its errors are in plain words."""

from __future__ import annotations

import difflib
import inspect
import reprlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from earmark.errors import EarmarkError
from earmark.storage import provenance

Seed = Annotated[int, Field(ge=0, lt=2**32)]  # every random generator takes these
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class ConfigError(EarmarkError):
    """A setting that cannot be used; the text names the key, the limit and the value."""


def one_of(folder: str, kind: str) -> str:
    """Return a kind that is a file of that folder. Raises ValueError with the kinds that are there."""
    if kind not in (kinds := provenance.plugins(folder)):
        door = provenance.DOORS[folder]
        file = provenance.PACKAGE / folder.replace(".", "/") / f"{kind}.py"
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


def complete(
    given: Mapping[str, Any],
    takes: Mapping[str, inspect.Parameter],
    hint: str,
    above: tuple[str, ...],
    rare: object = "",
) -> dict[str, Any]:
    """Return the options of something that is built by a function, all of them, validated and ready for JSON.

    given: those that are set. takes: the function's parameters, with types and defaults; one without a default is
    required. hint: what explains an unknown key. above: the keys of params.yaml that lead to the options. rare: the
    mark, in an annotation, of an option that is left out if it has its default.

    Raises ConfigError if an option is unknown, missing or of another type.
    """
    fields: dict[str, Any] = {
        key: (_type(p.annotation), ... if p.default is p.empty else p.default) for key, p in takes.items()
    }
    try:
        options = create_model("Options", __base__=Section, **fields).model_validate(dict(given))
    except ValidationError as error:
        raise ConfigError("\n".join(explain(e, hint, *above) for e in error.errors())) from None
    idle = {
        key
        for key, field in type(options).model_fields.items()
        if rare in field.metadata and getattr(options, key) == field.default
    }
    return options.model_dump(mode="json", exclude=idle)


def _type(annotation: Any) -> Any:
    """Return the type that validates an option: its annotation, with int limited to 32 bits, or Any without one."""
    if annotation is inspect.Parameter.empty:
        return Any
    return Annotated[int, Field(gt=-(2**31), lt=2**31)] if annotation is int else annotation


def parameters(function: Any, *but: str) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function or class by name, except those named and ``*args`` and ``**kwargs``."""
    takes = inspect.signature(function, eval_str=True).parameters
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {key: p for key, p in takes.items() if key not in but and p.kind not in variable}


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
