"""``earmark listen``: the listening page of an experiment, and the report, for a browser on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from earmark.config import Config, ConfigError
from earmark.decode.audio import RejectedError
from earmark.errors import EarmarkError
from earmark.evaluation import examine
from earmark.listening.clips import content
from earmark.listening.server import Server, Site


def open_server(config: Config, name: str | None, data: Path, metrics: Path, report: Path, port: int) -> Server:
    """Return a server for the test clips of an experiment, ready to serve.

    name: by default the first experiment of params.yaml. data, metrics: the folders that the pipeline fills. report:
    the file that the stage ``report`` writes. port: 0 for any that is free.

    Raises EarmarkError if there is no such experiment, if a file is missing, or if the port is in use.
    """
    name = next(iter(config.experiments), None) if name is None else name
    if name is None:
        raise ConfigError("params.yaml has no experiments, and so no scores of clips to listen to")
    judged = examine.read(config, data, name)
    site = Site(content(name, judged), config.corpus.audio, _hearing(name, data), lambda: _report(report, metrics))
    return Server(site, port)


def _hearing(name: str, data: Path) -> Callable[[Path], Mapping[str, Any]]:
    """Return what hears a file; the model is loaded for the first one. Of several seeds it is that of the lowest."""
    held: list[Any] = []

    def hear(path: Path) -> Mapping[str, Any]:
        from earmark.listening.timeline import timeline
        from earmark.predict import load

        if not held:
            held.append(load(data / "models" / name))
        try:
            return timeline(held[0], path).as_dict()
        except RejectedError as error:
            raise EarmarkError(f"{path.name} cannot be heard: {error}") from None

    return hear


def _report(path: Path, metrics: Path) -> str:
    """Return the page that the stage wrote, with what changed since the last commit."""
    from earmark.report import changes, html

    if not path.is_file():
        raise EarmarkError(f"{path} does not exist; run `dvc repro report`, or `dvc pull` it")
    return html.with_changes(path.read_text(encoding="utf-8"), changes.section(metrics))
