"""The files that the settings of a representation name, and whose Python files are run.

A Python file runs as an encoder. Whoever writes it into params.yaml wants that. The file of a model may come from
anybody: what it names is run only if params.yaml names it, too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.errors import EarmarkError

if TYPE_CHECKING:
    from earmark.config import RepresentationConfig

PARAMS = Path("params.yaml")  # of the project in whose root earmark runs
SUFFIX = ".py"


def files(config: RepresentationConfig) -> list[Path]:
    """Return the files that a representation hears through: its own, and those of its parts and fronts."""
    found: list[Path] = []

    def noted(file: str) -> str:
        found.append(Path(file))
        return file

    placed(config, noted)
    return found


def placed(config: RepresentationConfig, place: Callable[[str], str]) -> RepresentationConfig:
    """Return a representation that finds each of its files where ``place`` says."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: place(each) if key == "file" and isinstance(each, str) else moved(each)
                for key, each in value.items()
            }
        return [moved(each) for each in value] if isinstance(value, list | tuple) else value

    return config.with_options(moved(config.options()))


def require_own(config: RepresentationConfig, of: str, params: Path = PARAMS) -> None:
    """Raise EarmarkError if the representation of a model runs a Python file that ``params`` does not name.

    of: the model, for the error.
    """
    scripts = [file for file in files(config) if file.suffix == SUFFIX]
    if not scripts:
        return
    from earmark.config import load

    known = load(params).heard.values() if params.is_file() else ()
    own = {file.resolve() for one in known for file in files(one)}
    for file in scripts:
        if file.resolve() not in own:
            raise EarmarkError(
                f"{of} hears through the Python file {file}, which runs only if {params} of the project names it, too: "
                "if you trust whoever wrote it, name it there under `encoders`"
            )
