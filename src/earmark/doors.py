"""The door of a file that is used by its name, a network, a representation or a corpus: what it is entered by.

Such a file may be a user's own. What is wrong with it is told in one line, with the file and the line of its code.
"""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, create_model

from earmark.sections import ConfigError, Section, explain
from earmark.storage import provenance


def opened(folder: str, kind: str) -> Any:
    """Return the door of a kind: the function or class of its file that ``provenance.DOORS`` names for the folder.

    Raises ConfigError, with the file and the line, if the file cannot be imported or has no such door.
    """
    door = provenance.DOORS[folder]
    try:
        module = import_module(_module(folder, kind))
    except MemoryError:
        raise
    except Exception as error:
        raise ConfigError(fault(error, folder, kind)) from error
    found = getattr(module, door, None)
    if not callable(found):
        raise ConfigError(
            f"{_file(folder, kind)}: `{door}` must be a function or class at its top level, got {found!r}"
        )
    return found


def options(folder: str, kind: str, *inputs: str) -> dict[str, inspect.Parameter]:
    """Return the options of a kind by name, as parameters with type and default.

    inputs: what its door takes beside the options.

    Raises ConfigError, with the file, if it cannot be opened, takes an input under another name, or has an annotation
    that means nothing.
    """
    return _options(_signature(folder, kind, inputs), inputs)


def complete(
    folder: str,
    kind: str,
    given: Mapping[str, Any],
    above: Sequence[str],
    inputs: Sequence[str],
    rare: object = "",
    others: bool = False,
) -> dict[str, Any]:
    """Return all options of a kind, those that are not ``given`` with their defaults, validated and ready for JSON.

    The signature of the kind's door declares them; an option without a default is required. above: the keys of
    params.yaml that lead to the options. inputs: the parameters that are no options. rare: the mark, in an annotation,
    of an option that is left out if it has its default. others: whether a door with ``**options`` takes any.

    Raises ConfigError as ``options`` does, and if an option is unknown, missing or of another type.
    """
    signature = _signature(folder, kind, inputs)
    takes = _options(signature, inputs)
    if others and any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        unnamed = {key: value for key, value in given.items() if key not in takes}
    else:
        unnamed = {}
    fields: dict[str, Any] = {
        key: (_type(p.annotation), ... if p.default is p.empty else p.default) for key, p in takes.items()
    }
    try:
        with warnings.catch_warnings(action="ignore"):  # of an option that is called as a method of pydantic's
            model = create_model("Options", __base__=Section, **fields)
        found = model.model_validate({key: value for key, value in given.items() if key not in unnamed})
        idle = {
            key
            for key, field in model.model_fields.items()
            if rare in field.metadata and getattr(found, key) == field.default
        }
        return found.model_dump(mode="json", exclude=idle) | unnamed
    except ValidationError as error:
        hint = f"{kind} takes {', '.join(takes) or 'no options'}"
        raise ConfigError("\n".join(explain(e, hint, *above, names=takes) for e in error.errors())) from None
    except Exception as error:
        raise ConfigError(
            f"{_file(folder, kind)}: the options of `{provenance.DOORS[folder]}` must be numbers, texts, lists of them "
            f"and the like, which params.yaml can hold: {_text(error)}"
        ) from error


def fault(error: Exception, folder: str, kind: str) -> str:
    """Return in one line what the code of a kind did wrong: the file, its innermost line, and the error."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    file, frames = _file(folder, kind), traceback.extract_tb(error.__traceback__)
    entered = next((i for i, frame in enumerate(frames) if frame.filename == file), len(frames))
    own = [f for f in frames[entered:] if f.filename == file or Path(f.filename).is_relative_to(provenance.PACKAGE)]
    return f"{own[-1].filename}, line {own[-1].lineno}: {_text(error)}" if own else f"{file}: {_text(error)}"


def _signature(folder: str, kind: str, inputs: Sequence[str]) -> inspect.Signature:
    door = opened(folder, kind)
    try:
        found = inspect.signature(door, eval_str=True)
    except Exception as error:
        raise ConfigError(
            f"{_file(folder, kind)}: the signature of `{provenance.DOORS[folder]}` cannot be read: {_text(error)}; its "
            "annotations must be names that the file knows when it runs"
        ) from error
    if lacking := [key for key in inputs if not _by_keyword(found, key)]:
        raise ConfigError(
            f"{_file(folder, kind)}: `{provenance.DOORS[folder]}` must take {', '.join(inputs)} by these names, but "
            f"{', '.join(lacking)} cannot be given: it is {provenance.DOORS[folder]}{found}"
        )
    return found


def _by_keyword(signature: inspect.Signature, key: str) -> bool:
    found = signature.parameters.get(key)
    if found is None:
        return any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    return found.kind in (found.POSITIONAL_OR_KEYWORD, found.KEYWORD_ONLY)


def _options(signature: inspect.Signature, inputs: Sequence[str]) -> dict[str, inspect.Parameter]:
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {key: p for key, p in signature.parameters.items() if key not in inputs and p.kind not in variable}


def _type(annotation: Any) -> Any:
    """Return the type that validates an option: its annotation, with int limited to 32 bits, or Any without one."""
    if annotation is inspect.Parameter.empty:
        return Any
    return Annotated[int, Field(gt=-(2**31), lt=2**31)] if annotation is int else annotation


def _module(folder: str, kind: str) -> str:
    return f"{__name__.partition('.')[0]}.{folder}.{kind}"


def _file(folder: str, kind: str) -> str:
    spec = find_spec(_module(folder, kind))
    return kind if spec is None or spec.origin is None else spec.origin


def _text(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())  # torch's errors may have several lines
