"""A params.yaml to which entries are added: its text and what it says, one held to the other before it is written."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from earmark import config as settings
from earmark import yaml_edit
from earmark.config import Config, ConfigError, LabelsConfig, RepresentationConfig, WaveformConfig
from earmark.experiments import CrossValidationConfig, ExperimentConfig, Recipe
from earmark.files import write_bytes
from earmark.sections import explain

Judge = Callable[[Config], None]
_MODELS: dict[str, type[BaseModel]] = {
    "labels": LabelsConfig,
    "waveforms": WaveformConfig,
    "representations": RepresentationConfig,
    "recipes": Recipe,
    "experiments": ExperimentConfig,
    "crossvalidations": CrossValidationConfig,
}


class Draft:
    """The settings of a file with what has been added to them.

    Attributes:
        config: the settings, with what was added.
        told: a line for each change, which begins with "+", and for each entry that serves as it is.
        changes: the lines of the file that are new or changed.

    """

    def __init__(self, path: Path, judge: Judge) -> None:
        """Read a file. Raises ConfigError with all that is wrong, if ``judge`` refuses it as it stands."""
        self.path, self.judge = path, judge
        try:
            self.config = settings.load(path)
            with contextlib.redirect_stderr(io.StringIO()):  # warnings come when the new settings are judged
                judge(self.config)
        except ConfigError as error:
            if not path.is_file():
                raise
            raise ConfigError(f"{error}\n{path} has to be mended first: nothing was added") from None
        self.text = path.read_bytes().decode()  # with its own line ends
        self.plain = True  # whether the text could be changed as it is written
        self.told: list[str] = []
        self.changes: list[str] = []

    def put(self, section: str, name: str | int, values: Mapping[str, Any]) -> None:
        """Add an entry. Raises ConfigError if a value cannot be."""
        try:
            entry = _MODELS[section].model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError("\n".join(explain(each, "", section, str(name)) for each in error.errors())) from None
        self._changed(f"{section}.{name}: {yaml_edit.flow(values)}")
        self.text = yaml_edit.added(self.text, section, str(name), values)
        self.config = self.config.model_copy(update={section: getattr(self.config, section) | {name: entry}})

    def lengthen(self, rate: int, samples: int) -> None:
        """Raise the length of the waveforms of a rate, which are there."""
        old = self.config.waveforms[rate]
        self._changed(f"waveforms.{rate}.samples: {samples}", f"raised from {old.samples}: its clips are decoded again")
        try:
            self.text = yaml_edit.replaced(self.text, "waveforms", str(rate), "samples", samples)
        except KeyError:  # it stands behind a merge key
            self.plain = False
        new = self.config.waveforms | {rate: old.model_copy(update={"samples": samples})}
        self.config = self.config.model_copy(update={"waveforms": new})

    def tell(self, line: str) -> None:
        """Add a line about what stays as it is, unless it has been told."""
        if f"  {line}" not in self.told:
            self.told.append(f"  {line}")

    def _changed(self, line: str, remark: str = "") -> None:
        self.changes.append(line)
        self.told.append(f"+ {line} ({remark})" if remark else f"+ {line}")

    def write(self, dry_run: bool = False) -> None:
        """Judge the settings as they will be read, and put them in place of the file; nothing changes if it fails.

        dry_run: only judge. Raises ConfigError if they are refused, and EarmarkError if the file cannot be written.
        """
        if not self.changes:
            return
        path = self.path.resolve()  # where a link leads
        with tempfile.TemporaryDirectory() as folder:
            beside = Path(folder) / "params.yaml"
            beside.write_bytes(self.text.encode())
            try:
                found = settings.load(beside) if self.plain else None
                if found is None or found.model_dump(mode="json") != self.config.model_dump(mode="json"):
                    raise ConfigError(f"{beside} is not written in a way that lines can be added to")
                self.judge(found)
            except ConfigError as error:
                told = str(error).replace(str(beside), str(self.path))
                raise ConfigError(
                    f"{told}\nnothing was added; it would have been:\n{_indented(self.changes)}"
                ) from None
        if dry_run:
            return
        if not os.access(path, os.W_OK):
            raise ConfigError(f"{self.path} cannot be written: it is read-only for this user (`ls -l`)")
        mode = stat.S_IMODE(path.stat().st_mode)
        write_bytes(path, self.text.encode())
        path.chmod(mode)


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)
