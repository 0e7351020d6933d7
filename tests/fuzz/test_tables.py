"""Tables that people bring, changed at random: read, or refused with the file and the line, whatever their kind."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.corpora import HEADER, write
from helpers.mutation import OF_TEXTS, mutated, times

from earmark.config import CorpusConfig
from earmark.corpus.read import read
from earmark.errors import EarmarkError


@dataclass
class Brought:
    """A table of a corpus: which file is changed, below ``annotations`` if that is a folder. more: settings."""

    kind: str
    file: str
    annotations: str
    more: dict[str, object]


def csv_of(rows):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def corpus(folder: Path) -> None:
    """Write one corpus of every kind; none of the files holds sound, which reading a corpus does not ask for."""
    for number in range(12):
        write(folder / f"audio/{'abc'[number % 3]}/{number}.mp3", "")
        write(folder / f"fma/000/{number + 2:06}.mp3", "")
        write(folder / f"jamendo/{number:02}/{number + 200}.mp3", "")
        write(folder / f"mtat/{number:x}/artist_{number}-album-01-title-0-29.mp3", "")
    paths = [f"{'abc'[number % 3]}/{number}.mp3" for number in range(12)]
    splits = ("train", "train", "valid", "test")
    rows = [[p, "rock|slow, sad" if n % 2 else "jazz", f"artist {n // 2}", splits[n % 4]] for n, p in enumerate(paths)]
    write(folder / "table.csv", csv_of([["path", "tags", "artist", "split"], *rows]))
    write(folder / "lists/artists.csv", csv_of([["path", "artist"], *([row[0], row[2]] for row in rows)]))
    for split in ("train", "valid", "test"):
        write(folder / f"lists/{split}.txt", "".join(f"{row[0]}\n" for row in rows if row[3] == split))
    for at, name in enumerate(("train", "validation", "test")):
        lines = [
            f"track_{n + 200:07}\tartist_{n:06}\talbum_{n:06}\t{n:02}/{n + 200}.mp3\t124.6\tgenre---{'ab'[n % 2]}\n"
            for n in range(4 * at, 4 * at + 4)
        ]
        write(folder / f"tables/splits/split-0/autotagging_top50tags-{name}.tsv", HEADER + "".join(lines))
    head = [["", "artist", "set", "set", "track", "track"], ["", "id", "split", "subset", "genre_top", "genres_all"],
            ["track_id", "", "", "", "", ""]]  # fmt: skip
    names = ("training", "training", "validation", "test")
    tracks = [[n + 2, n, names[n % 4], "small", "Folk" if n % 2 else "Rock", "[17]"] for n in range(12)]
    write(folder / "metadata/tracks.csv", csv_of([*head, *tracks]))
    write(folder / "metadata/genres.csv", csv_of([["genre_id", "title"], [17, "Folk"], [21, "Rock"]]))
    lines = [["clip_id", "high", "low", "mp3_path"]]
    lines += [[n + 2, n % 2, 1 - n % 2, f"{n:x}/artist_{n}-album-01-title-0-29.mp3"] for n in range(12)]
    write(folder / "final.csv", "".join("\t".join(f'"{cell}"' for cell in line) + "\n" for line in lines))


BROUGHT = [
    Brought("table", "table.csv", "table.csv", {"audio": "audio"}),
    Brought("folders", "lists/artists.csv", "lists", {"audio": "audio"}),
    Brought("folders", "lists/train.txt", "lists", {"audio": "audio"}),
    Brought("jamendo", "tables/splits/split-0/autotagging_top50tags-train.tsv", "tables", {"audio": "jamendo"}),
    Brought("fma", "metadata/tracks.csv", "metadata", {"audio": "fma"}),
    Brought("fma", "metadata/genres.csv", "metadata", {"audio": "fma", "fma": {"subset": "small", "genres": "all"}}),
    Brought("magnatagatune", "final.csv", "final.csv", {"audio": "mtat", "split": "song"}),
]


@pytest.mark.parametrize("brought", BROUGHT, ids=lambda brought: f"{brought.kind}-{Path(brought.file).name}")
def test_a_changed_table_is_read_or_refused_by_its_name(brought, tmp_path):
    corpus(tmp_path)
    config = CorpusConfig(
        kind=brought.kind, annotations=tmp_path / brought.annotations,
        **brought.more | {"audio": tmp_path / brought.more["audio"]},
    )  # fmt: skip
    path = tmp_path / brought.file
    content = path.read_bytes()
    assert len(read(config)[0]) == 12
    found, bad = Counter[str](), []
    for number in range(times(40, 720)):
        damaged, done = mutated(content, f"{brought.file} {number}", OF_TEXTS)
        path.write_bytes(damaged)
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                clips, table = read(config)
            outcome = "read" if len(clips) == len(table.clip_ids) == len(table.values) else "rows without a clip"
        except EarmarkError as error:
            cause = error.__cause__  # a fault of the reader's own code is told by an EarmarkError, too
            named = path.name in str(error) or "corpus.audio" in str(error) or "no clip" in str(error)
            outcome = "refused" if named and cause is None else f"unnamed: {error} {cause!r}"
        except Exception as error:
            outcome = f"raw: {type(error).__name__}: {str(error)[:300]}"
        found[outcome.partition(":")[0]] += 1
        if outcome not in ("read", "refused"):
            bad.append((number, outcome, done))
    if log := os.environ.get("TORTURE_LOG"):
        with Path(log).open("a", encoding="utf-8") as file:
            told = {"kind": f"{brought.kind} {path.name}", "counts": found, "bad": bad[:100]}
            file.write(json.dumps(told) + "\n")
    assert not bad, f"{dict(found)}: " + "\n".join(map(repr, bad[:6]))
