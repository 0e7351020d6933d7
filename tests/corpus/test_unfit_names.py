"""What stops DVC, or another system, is named before anything stumbles over it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from helpers.corpora import write

from earmark.corpus.unfit_names import UnfitNames, alike


def told(folder):
    found = UnfitNames.below([folder])
    return found.stopping(), found.remarking()


def latin_1(folder):
    write(folder / "rock" / os.fsdecode(b"Caf\xe9.mp3"), "")


def dangling(folder):
    (folder / "rock/gone.mp3").symlink_to("nowhere.mp3")


def of_itself(folder):
    (folder / "rock/self.mp3").symlink_to("self.mp3")


def hidden(folder):
    """DVC takes the checksum of what is no music, too."""
    (folder / ".Trash-1000").mkdir()
    (folder / ".Trash-1000/gone").symlink_to("/nowhere")


def line_end(folder):
    write(folder / "rock/a\nb.mp3", "")


def pipe(folder):
    os.mkfifo(folder / "rock/pipe.mp3")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (latin_1, r"names that are not UTF-8, which DVC cannot write down \(1\): '.*/rock/Caf\\udce9.mp3'; rename"),
        (dangling, r"links to what is not there, which end DVC \(1\): '.*/rock/gone.mp3 -> nowhere.mp3'; remove"),
        (of_itself, r"links to what is not there, which end DVC \(1\): '.*/rock/self.mp3 -> self.mp3'; remove"),
        (hidden, r"links to what is not there, which end DVC \(1\): '.*/.Trash-1000/gone -> /nowhere'; remove"),
        (line_end, r"names with a line end, which no table holds safely \(1\): '.*/rock/a\\nb.mp3'; rename"),
        (pipe, r"pipes, sockets or devices, on which DVC waits for ever \(1\): '.*/rock/pipe.mp3'; move"),
    ],
)
def test_what_stops_dvc_is_named_with_what_to_do(tmp_path, make, says):
    write(tmp_path / "rock/fine.mp3", "")
    assert told(tmp_path) == ([], [])
    make(tmp_path)
    (stop,) = told(tmp_path)[0]
    assert re.match(says, stop), stop


def test_what_may_not_be_read_is_named(tmp_path, monkeypatch):
    write(tmp_path / "rock/one.mp3", "")
    monkeypatch.setattr(os, "access", lambda path, _: not str(path).endswith("one.mp3"))  # root may read everything
    assert told(tmp_path)[0][0].startswith("files or folders that this user may not read (1): ")


def test_names_that_work_here_alone_are_remarks(tmp_path):
    for name in ("a:b.mp3", "con.mp3", "ends ", "tab\there.mp3", "what?.mp3", "fine.mp3"):
        write(tmp_path / name, "")
    stops, remarks = told(tmp_path)
    assert stops == []
    assert [line.partition(":")[0] for line in remarks] == [
        "names that Windows cannot hold (4)",
        "names with control characters, which terminals do not show (1)",
    ]


def test_a_link_to_a_folder_above_it_is_followed_once(tmp_path):
    write(tmp_path / "rock/fine.mp3", "")
    (tmp_path / "rock/again").symlink_to(tmp_path)
    assert told(tmp_path) == ([], [])


def test_what_is_no_folder_has_no_names(tmp_path):
    assert UnfitNames.below([tmp_path / "absent", Path("a\0b"), write(tmp_path / "x", "")]).stops == {}


def test_names_that_a_reader_takes_for_one_are_alike():
    composed, decomposed = "Caf\u00e9", "Cafe\u0301"
    assert alike(["jazz", composed, "Hip  Hop", decomposed, "hip hop", "rock"]) == [
        (composed, decomposed), ("Hip  Hop", "hip hop"),
    ]  # fmt: skip
