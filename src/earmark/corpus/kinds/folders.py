"""One folder per class, as in GTZAN: the name of the folder is the tag of every file in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from earmark.config import CorpusConfig
from earmark.corpus.audio_folder import AUDIO, UNREAD, AudioFolder, Matches
from earmark.corpus.manifest import SPLITS, Clip, CorpusError, TagTable
from earmark.corpus.notes import examples, note
from earmark.corpus.rows import Row, tabulate
from earmark.corpus.text import DELIMITERS, csv_rows, lines, read_text

HEADER = ("path", "artist")


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

    A file deeper down, <class>/<folder>/<file>, is one of its class, too. splits: for each split, a text file with one
    path per line (GTZAN's fault-filtered lists). If there are lists, files in none of them are left out. artists: a CSV
    of path,artist (Sturm's index of GTZAN); with it, splits can keep artists together. What is left out, and how much
    of the lists and of the CSV matches a file, is told by ``notes``.

    Raises CorpusError if there is no audio file, if a folder cannot be entered, if none of the paths of a list or of
    the CSV is that of a file, or if two lists or two rows say different things of one file.
    """
    folder = AudioFolder.of(audio)
    paths = [path for path in folder.audio if "/" in path]
    if not paths:
        raise CorpusError(
            f"corpus.audio: {audio} holds no folder with audio files ({', '.join(AUDIO)}){_instead(folder)}"
        )
    if folder.unreadable:
        path, why = next(iter(folder.unreadable.items()))
        raise CorpusError(
            f"corpus.audio: {len(folder.unreadable)} folders below {audio} cannot be entered, and their clips would be "
            f"lacking: {path!r} for one: {why}"
        )
    _tell_layout(folder, paths)
    chosen, known = _split_lists(splits or {}, folder), _artists(artists, folder)
    if chosen:
        left = [path for path in paths if path not in chosen]
        paths = [path for path in paths if path in chosen]
        if left:
            total = len(left) + len(paths)
            note(f"{len(left)} of {total} files are in none of the lists and left out: {examples(left)}")
        if lost := sorted(chosen.keys() - set(paths)):
            note(
                f"warning: {len(lost)} files of the lists are no clips: they lie in no folder of a class, have another "
                f"suffix than music's, or are reached by a link to a folder that is there: {examples(lost)}"
            )
    if artists is not None:
        _tell_artists(artists, paths, known)
    return tabulate(_rows(audio, paths, chosen, known))


def _rows(audio: Path, paths: list[str], chosen: dict[str, str], artists: dict[str, str]) -> Iterator[Row]:
    for path in paths:
        yield Row(f"{audio}", path, [path.partition("/")[0]], artist=artists.get(path, ""), split=chosen.get(path, ""))


def _instead(folder: AudioFolder) -> str:
    """Return what is there where folders of audio files should be."""
    if not folder.root.is_dir():
        return "" if not folder.root.exists() else "; it is a file, not a folder"
    if folder.audio:
        return f"; {folder.audio[0]!r} and {len(folder.audio) - 1} more lie in it, but in no folder of a class"
    unread = [path for path in folder.files if PurePosixPath(path).suffix.lower() in UNREAD]
    return f"; of {unread[0]!r} and {len(unread) - 1} more the format is not decoded: convert them" if unread else ""


def _tell_layout(folder: AudioFolder, paths: list[str]) -> None:
    """Note what below the folder is no clip, and the clips whose place may not be meant so."""
    outside = [path for path in folder.audio if "/" not in path]
    if outside:
        note(
            f"warning: {len(outside)} files lie in {folder.root} itself, in no folder of a class, and are left out: "
            f"{examples(outside)}"
        )
    deeper = [path for path in paths if path.count("/") > 1]
    if deeper:
        note(f"{len(deeper)} files lie in folders within that of their class, whose tag they have: {examples(deeper)}")
    unread, others = _left_out(folder)
    if unread:
        told = ", ".join(f"{len(files)} {suffix} ({files[0]!r})" for suffix, files in unread.items())
        note(f"warning: music of formats that are not decoded is left out, convert it: {told}")
    if others:
        note(f"no music by their endings: {', '.join(f'{n} {suffix}' for suffix, n in others.most_common(5))}")
    if folder.of_systems:
        note(f"{folder.of_systems} files or folders of operating systems are no music (names that begin with a dot)")
    folder.tell()


def _left_out(folder: AudioFolder) -> tuple[dict[str, list[str]], Counter[str]]:
    """Return the files of UNREAD by their suffixes, and the number of files with other suffixes."""
    unread: dict[str, list[str]] = {}
    others: Counter[str] = Counter()
    for path in folder.files:
        suffix = PurePosixPath(path).suffix.lower()
        if suffix in UNREAD:
            unread.setdefault(suffix, []).append(path)
        elif suffix not in AUDIO:
            others[suffix or "without one"] += 1
    return unread, others


def _split_lists(lists: Mapping[str, Path], folder: AudioFolder) -> dict[str, str]:
    """Return the split of every file in the lists. Raises CorpusError if two lists name the same file."""
    found: dict[str, str] = {}
    for split, file in lists.items():
        matches = Matches(str(file), folder)
        for number, line in enumerate(lines(read_text(file), file), 1):
            path = line.strip(" \t\r\n")
            read = matches.read(path, f"{file}, line {number}") if path else None
            if read is not None and found.setdefault(read[1], split) != split:
                raise CorpusError(
                    f"{file}: {path!r} is in {found[read[1]]} and in {split}: {lists[found[read[1]]]} names it, too"
                )
        matches.tell()
    return found


def _artists(index: Path | None, folder: AudioFolder) -> dict[str, str]:
    """Return the artist of every file in a CSV of path,artist, with or without a header.

    Raises CorpusError, with the line, if a row has other than two cells, or names a file of another artist again.
    """
    if index is None:
        return {}
    found: dict[str, str] = {}
    matches = Matches(str(index), folder)
    for number, cells in _pairs(index, folder):
        where = f"{index}, line {number}"
        if len(cells) != len(HEADER):
            more = "; a name with a comma in it needs quotation marks" if len(cells) > len(HEADER) else ""
            raise CorpusError(f"{where}: path and artist expected, got {len(cells)} cells{more}")
        path, artist = (cell.strip() for cell in cells)
        read = matches.read(path, where)
        if read is not None and found.setdefault(read[1], artist) != artist:
            raise CorpusError(f"{where}: {path!r} is by {artist!r}, but an earlier row has {found[read[1]]!r}")
    matches.tell()
    return found


def _pairs(index: Path, folder: AudioFolder) -> list[tuple[int, list[str]]]:
    """Return the rows below the header, if there is one, cut by the delimiter with which most paths are those of files.

    Raises CorpusError as ``csv_rows`` does.
    """
    text = read_text(index)
    best: list[tuple[int, list[str]]] = []
    most = -1
    for delimiter in DELIMITERS:
        try:
            rows = list(csv_rows(text, index, delimiter=delimiter))
        except CorpusError:
            if delimiter == DELIMITERS[0]:
                raise
            continue
        matching = sum(len(cells) == 2 and folder.find(cells[0].strip())[0] != "" for _, cells in rows)
        if matching > most:
            best, most, chosen = rows, matching, delimiter
    if chosen != DELIMITERS[0]:
        note(f"{index}: its cells are separated by {chosen!r}")
    names = [cell.strip().lower() for cell in best[0][1]] if best else []
    return best[1:] if names and folder.find(names[0])[0] == "" and names[-1] == HEADER[1] else best


def _tell_artists(index: Path, paths: list[str], known: dict[str, str]) -> None:
    """Note how many clips have an artist: the others count as artists of their own, and may leak."""
    without = [path for path in paths if not known.get(path)]
    warning = "warning: " if without else ""
    told = f", not {examples(without)}: each of these counts as an artist of its own" if without else ""
    note(f"{warning}{index}: {len(paths) - len(without)} of {len(paths)} files have an artist{told}")
