"""One folder per class, as in GTZAN: the name of the folder is the tag of every file in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from earmark.config import CorpusConfig
from earmark.corpus.manifest import SPLITS, Clip, CorpusError, TagTable
from earmark.corpus.rows import AUDIO, Row, tabulate
from earmark.corpus.text import csv_rows, read_text


def corpus(config: CorpusConfig) -> tuple[list[Clip], TagTable]:
    """Return the clips and tags of the folders below ``corpus.audio``.

    The lists train.txt, valid.txt and test.txt, and artists.csv, are used if they are in ``corpus.annotations``.
    """
    lists = {split: config.annotations / f"{split}.txt" for split in SPLITS}
    artists = config.annotations / "artists.csv"
    given = {split: file for split, file in lists.items() if file.is_file()}
    return read(config.audio, given, artists if artists.is_file() else None)


def read(
    audio: Path, splits: Mapping[str, Path] | None = None, artists: Path | None = None
) -> tuple[list[Clip], TagTable]:
    """Return the clips and tags of the files <class>/<file> below ``audio``, sorted by path.

    splits: for each split, a text file with one path per line (GTZAN's fault-filtered lists). If there are lists, files
    in none of them are left out. artists: a CSV of path,artist (Sturm's index of GTZAN); with it, splits can keep
    artists together.

    Raises CorpusError if there is no audio file, if a list names a file that is not there, if two lists name the same
    file, or if no path in the CSV of artists is that of a file.
    """
    here = audio.glob("*/*") if audio.is_dir() else ()
    # hidden files are not clips: macOS writes "._x.mp3" beside each x.mp3 on disks of other systems
    files = sorted(path for path in here if path.suffix.lower() in AUDIO and not path.name.startswith("."))
    if not files:
        raise CorpusError(f"corpus.audio: {audio} holds no folder with audio files ({', '.join(AUDIO)})")
    paths = [path.relative_to(audio).as_posix() for path in files]
    lists = splits or {}
    chosen, known = _split_lists(lists), _artists(artists)
    if absent := sorted(set(chosen) - set(paths)):
        raise CorpusError(
            f"{lists[chosen[absent[0]]]}: {absent[0]!r} and {len(absent) - 1} more are not below {audio}, where "
            f"{paths[0]!r} is; do the ending and the folders agree?"
        )
    if known and not known.keys() & set(paths):
        raise CorpusError(
            f"{artists}: none of its {len(known)} paths is below {audio}, the first being {next(iter(known))!r} where "
            f"{paths[0]!r} is there; do the ending and the folders agree?"
        )
    return tabulate(_rows(audio, paths, chosen, known))


def _rows(audio: Path, paths: list[str], chosen: dict[str, str], artists: dict[str, str]) -> Iterator[Row]:
    for path in paths:
        if not chosen or path in chosen:
            folder = path.partition("/")[0]
            yield Row(f"{audio}", path, [folder], artist=artists.get(path, ""), split=chosen.get(path, ""))


def _split_lists(lists: Mapping[str, Path]) -> dict[str, str]:
    """Return the split of every path in the lists. Raises CorpusError if two lists name the same path."""
    found: dict[str, str] = {}
    for split, file in lists.items():
        for line in read_text(file).split("\n"):
            if (path := line.strip()) and found.setdefault(path, split) != split:
                raise CorpusError(
                    f"{file}: {path!r} is in {found[path]} and in {split}: {lists[found[path]]} names it, too"
                )
    return found


def _artists(index: Path | None) -> dict[str, str]:
    if index is None:
        return {}
    rows = csv_rows(read_text(index), index)
    return {row[0].strip(): row[1].strip() for _, row in rows if len(row) > 1}
