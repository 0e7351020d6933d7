"""Any data set of the package mirdata (Bittner et al. 2019) whose tracks have audio and something like tags."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from earmark.config import CorpusConfig
from earmark.corpus.manifest import Clip, CorpusError, TagTable
from earmark.corpus.rows import Row, tabulate
from earmark.corpus_choices import MirdataConfig
from earmark.sections import near

SPLITS = {
    "train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
PRESENT = 0.5  # of a mapping from tags to degrees (OpenMIC-2018's instruments): where a tag begins
_AUDIO = "audio_path"


def corpus(config: CorpusConfig) -> tuple[list[Clip], TagTable]:
    """Return the clips and tags of the data set that ``corpus.mirdata`` names."""
    if config.mirdata is None:
        raise CorpusError("corpus.mirdata must say which data set is read: {dataset: gtzan_genre, attribute: genre}")
    return read(config.audio, config.annotations, config.mirdata)


def read(audio: Path, index: Path, choice: MirdataConfig) -> tuple[list[Clip], TagTable]:
    """Return the clips and tags of a data set, in the order of its index.

    audio: what mirdata calls data_home. index: the data set's index, a JSON file; if it is a folder, the index is the
    one that mirdata has downloaded. Tracks without audio in the index are left out, and counted on stderr.

    Raises CorpusError if the package, the data set, the index or an attribute is missing, or if a value is no tag, no
    name or no split.
    """
    tracks = _tracks(audio, index, choice.dataset)
    heard = {name: track for name, track in tracks.items() if _value(track, _AUDIO, choice) is not None}
    if silent := [name for name in tracks if name not in heard]:
        told = f"{len(silent)} of {len(tracks)} tracks have no {_AUDIO} and are left out, the first being {silent[0]}"
        print(f"warning: mirdata {choice.dataset}: {told}", file=sys.stderr)
    rows = list(_rows(heard, audio, choice))
    dealt = [bool(row.split) for row in rows]
    if any(dealt) and not all(dealt):
        raise CorpusError(
            f"{rows[dealt.index(False)].where}: it has no {choice.split}, as {len(rows) - sum(dealt)} of {len(rows)} "
            "tracks; `split: null` in corpus.mirdata leaves them to corpus.split"
        )
    return tabulate(rows)


def _tracks(audio: Path, index: Path, dataset: str) -> Mapping[str, Any]:
    """Return the tracks of a data set by their ids."""
    try:
        package = import_module("mirdata")
    except ModuleNotFoundError as error:
        if error.name != "mirdata":
            raise
        raise CorpusError("corpus.kind: mirdata needs the package mirdata: pip install 'earmark[mirdata]'") from None
    known = package.list_datasets()
    if dataset not in known:
        hint = near(dataset, known) or f": mirdata {package.__version__} has {len(known)} others"
        raise CorpusError(f"corpus.mirdata.dataset must be a data set of mirdata, got {dataset!r}{hint}")
    if not index.exists():
        raise CorpusError(f"corpus.annotations: {index} does not exist; it must be the data set's index, or a folder")
    found = package.initialize(dataset, data_home=str(audio))
    if index.is_file():
        found.index_path = str(index)
    try:
        tracks: dict[str, Any] = found.load_tracks()
    except FileNotFoundError as error:
        fetch = f"mirdata.initialize({dataset!r}, data_home={str(audio)!r}).download(['index'])"
        raise CorpusError(f"mirdata {dataset}: {error}; in Python, `{fetch}` fetches the index") from None
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise CorpusError(f"mirdata {dataset}: {found.index_path} gives no tracks: {error!r}") from None
    if not tracks:
        raise CorpusError(f"mirdata {dataset}: {found.index_path} has no track")
    return tracks


def _rows(tracks: Mapping[str, Any], audio: Path, choice: MirdataConfig) -> Iterator[Row]:
    for name, track in tracks.items():
        where = f"mirdata {choice.dataset}, track {name}"
        tags = _texts(_value(track, choice.attribute, choice, required=True), f"{where}: {choice.attribute}")
        artist, song, split = (
            ", ".join(_texts(_value(track, getattr(choice, key), choice, getattr(choice, key) != default), where))
            for key, default in (("artist", "artist"), ("song", None), ("split", "split"))
        )
        path = Path(os.path.relpath(_value(track, _AUDIO, choice), audio)).as_posix()
        yield Row(where, path, tags, str(name), song, artist, _split(split, where))


def _value(track: Any, attribute: str | None, choice: MirdataConfig, required: bool = False) -> Any:
    """Return an attribute of a track; None if the data set has no such one and it is not ``required``."""
    if attribute is None:
        return None
    if not (required or attribute == _AUDIO or hasattr(type(track), attribute) or attribute in vars(track)):
        return None
    try:
        return getattr(track, attribute)
    except AttributeError:
        there = sorted(name for name in {*vars(track), *vars(type(track))} if not name.startswith("_"))
        raise CorpusError(
            f"corpus.mirdata: tracks of {choice.dataset} have no {attribute!r}{near(attribute, there)}; there are "
            f"{', '.join(there)}"
        ) from None
    except FileNotFoundError as error:
        raise CorpusError(
            f"mirdata {choice.dataset}: {attribute} is read from {error.filename or error}, which is not there; is "
            "all of the data set in corpus.audio?"
        ) from None


def _texts(value: Any, where: str) -> list[str]:
    """Return the tags or names that an attribute holds: a text, a number, a list of them, or a mapping to degrees."""
    if value is None or (isinstance(value, float) and math.isnan(value)):  # pandas has NaN for what is not there
        return []
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    if isinstance(value, int | float):
        return [str(value)]
    if isinstance(value, Mapping) and all(isinstance(degree, int | float) for degree in value.values()):
        return [str(name) for name, degree in value.items() if degree >= PRESENT]
    if isinstance(value, set | frozenset):
        value = sorted(value)
    if isinstance(value, list | tuple):
        return list(dict.fromkeys(text for one in value for text in _texts(one, where)))
    raise CorpusError(f"{where} must be a text, a number, a list of them or a mapping to degrees, got {value!r:.80}")


def _split(value: str, where: str) -> str:
    if value and value.lower() not in SPLITS:
        raise CorpusError(f"{where}: the split must be one of {', '.join(SPLITS)}, got {value!r}")
    return SPLITS[value.lower()] if value else ""
