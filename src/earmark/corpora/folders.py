"""A folder per class, as GTZAN is distributed: the folder's name is the tag of every file in it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from earmark.corpora.rows import AUDIO, Row, tabulate
from earmark.corpora.text import read_text
from earmark.manifest import Clip, CorpusError, TagTable


def read(
    audio: Path, splits: Mapping[str, Path] | None = None, artists: Path | None = None
) -> tuple[list[Clip], TagTable]:
    """Read <class>/<file> below ``audio``, sorted.

    splits: for each split a text file with one path a line (GTZAN's fault-filtered lists); files in none of them are
    left out. artists: a CSV of path,artist (Sturm's index of GTZAN), so that no artist need lie in two splits.
    Raises CorpusError where no file is found, and for a list that names a file which is not there.
    """
    files = sorted(path for path in audio.glob("*/*") if path.suffix.lower() in AUDIO) if audio.is_dir() else []
    if not files:
        raise CorpusError(f"corpus.audio: {audio} holds no folder with audio files ({', '.join(AUDIO)})")
    return tabulate(_rows(audio, files, _split_lists(splits or {}), _artists(artists)))


def _rows(audio: Path, files: list[Path], chosen: dict[str, str], artists: dict[str, str]) -> Iterator[Row]:
    paths = [path.relative_to(audio).as_posix() for path in files]
    if absent := sorted(set(chosen) - set(paths)):
        raise CorpusError(f"corpus.splits: {absent[0]!r} and {len(absent) - 1} more are not below {audio}")
    for path in paths:
        if not chosen or path in chosen:
            folder = path.partition("/")[0]
            yield Row(f"{audio}", path, [folder], artist=artists.get(path, ""), split=chosen.get(path, ""))


def _split_lists(lists: Mapping[str, Path]) -> dict[str, str]:
    """The split of every path that a list names; CorpusError where two lists name one."""
    found: dict[str, str] = {}
    for split, file in lists.items():
        for line in read_text(file).split("\n"):
            if (path := line.strip()) and found.setdefault(path, split) != split:
                raise CorpusError(f"corpus.splits: {path!r} is in {found[path]} and in {split}")
    return found


def _artists(index: Path | None) -> dict[str, str]:
    if index is None:
        return {}
    rows = csv.reader(read_text(index).splitlines())
    return {row[0].strip(): row[1].strip() for row in rows if len(row) > 1}
