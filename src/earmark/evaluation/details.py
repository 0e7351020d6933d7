"""All that is measured of an experiment, as metrics/details/<name>.json holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earmark.errors import EarmarkError
from earmark.files import AGAIN, read_json


class _Told(dict[str, Any]):
    """A mapping that a file of metrics holds: a key that it lacks is told with the file's name."""

    def __init__(self, content: Mapping[str, Any], path: Path) -> None:
        super().__init__({key: _told(value, path) for key, value in content.items()})
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise EarmarkError(f"{self._path} lacks {key!r}: it is damaged, or of another version; {AGAIN}")


def _told(value: Any, path: Path) -> Any:
    if isinstance(value, Mapping):
        return _Told(value, path)
    return [_told(one, path) for one in value] if isinstance(value, list) else value


def read_metrics(path: Path) -> dict[str, Any]:
    """Read a JSON file of metrics. Raises EarmarkError if it is absent or damaged, and for a key that it lacks."""
    return _Told(read_json(path), path)


def details(test: Mapping[str, Any], trainings: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the content of the file: what is measured on the test split, and what is known of the training.

    trainings: by seed. It is no list of them, because DVC would draw the values of a list.

    >>> details({"clips": 9}, {1: {"epochs": 8}})
    {'test': {'clips': 9}, 'training': {'epochs': 8}}
    >>> details({"clips": 9}, {1: {"epochs": 8}, 7: {"epochs": 6}})["training"]
    {'1': {'epochs': 8}, '7': {'epochs': 6}}
    """
    several = {str(seed): dict(training) for seed, training in trainings.items()}
    return {"test": dict(test), "training": several if len(several) > 1 else next(iter(several.values()))}


def trainings_of(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what is known of the training from each seed.

    >>> trainings_of(details({}, {1: {"epochs": 8}, 7: {"epochs": 6}}))
    [{'epochs': 8}, {'epochs': 6}]
    """
    training = content["training"]
    return list(training.values()) if all(isinstance(one, Mapping) for one in training.values()) else [training]
