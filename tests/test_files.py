"""Files are on the disk, with their names, before anybody says so: of every writer, and nobody renames otherwise."""

from __future__ import annotations

import ast
import os
import sys

import h5py
import numpy as np
import pytest
import torch
from helpers.power_cuts import Watched

from earmark import files
from earmark.embeddings import table
from earmark.embeddings.table import Entry, Shape
from earmark.errors import EarmarkError
from earmark.storage import provenance
from earmark.storage.shards import ShardWriter
from earmark.storage.source import read_source
from earmark.storage.store import Store
from earmark.training import checkpoints

linux = pytest.mark.skipif(sys.platform != "linux", reason="which file a descriptor is of is read in /proc")

# Renames of modules that do without `put_in_place`, and why a power cut takes nothing that is not noticed.
OTHERS = {
    "demo/render.py": "a whole folder, whose note is written after it and holds the SHA-256 of all files",
    "download/archive.py": "26,000 files, synced at once in the end; a second run compares their CRCs",
    "storage/shards.py": "one temporary name for another",
}


def test_nothing_is_renamed_but_by_put_in_place():
    found = set()
    for file in provenance.PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(read_source(file))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                one = len(node.args) == 1 and not node.keywords  # that of a text has two, that of a dataclass has names
                direct = ast.unparse(node.func) in ("os.replace", "os.rename", "shutil.move")
                if direct or (node.func.attr in ("replace", "rename") and one):
                    found.add(file.relative_to(provenance.PACKAGE).as_posix())
    assert found == {"files.py", *OTHERS}


def text(folder):
    files.write_text(folder / "new/x.txt", "text")


def shard(folder, rows=1, dtype="f4"):
    with ShardWriter(folder / "0.h5", "features", 2, (2,), dtype) as writer:
        writer.append(["a", "b"][:rows], np.ones((rows, 2), np.float32))
        writer.attributes = {"fingerprint": "f"}


def halved_shard(folder):
    shard(folder, 2, np.float16)


def checkpoint(folder):
    torch.save({"a": 1}, folder / "writing.tmp")
    checkpoints.seal(folder / "writing.tmp", checkpoints.GOING_ON)


def embeddings(folder):
    rows = [Entry("a", "0", np.zeros(1), np.ones((1, 3), np.float32))]
    table.write(folder / "x.h5", Shape(1, 3, "float32", 1, False), rows, {})


def fetched(folder):
    (folder / "store").mkdir()
    (folder / "store/x").write_text("text")
    Store(f"file://{folder}/store").get("x", folder / "x.h5")


@linux
@pytest.mark.parametrize("write", [text, shard, halved_shard, checkpoint, embeddings, fetched])
def test_a_power_cut_takes_nothing_that_was_said_to_be_written(write, tmp_path, monkeypatch):
    watched = Watched(monkeypatch)
    write(tmp_path)
    assert watched.renamed
    assert not watched.all_lost()


@linux
def test_the_check_sees_what_is_not_synced(tmp_path, monkeypatch):
    watched = Watched(monkeypatch)
    (tmp_path / "a").write_text("text")
    (tmp_path / "a").replace(tmp_path / "b")
    assert watched.all_lost() == [f"the content of {tmp_path / 'b'}", f"the names in {tmp_path}"]


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_who_writes_beside_leaves_nothing_there_after_an_error_or_ctrl_c(error, tmp_path):
    (tmp_path / "x.h5").write_text("old")

    def fail():
        with files.beside(tmp_path / "x.h5") as place:
            h5py.File(place, "w").close()
            raise error

    with pytest.raises((EarmarkError, KeyboardInterrupt)):
        fail()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.h5", "old")]


@pytest.mark.parametrize("stands", ["link", "pipe", "file of a killed run"])
def test_what_stands_beside_a_file_is_replaced_and_never_written_through(stands, tmp_path):
    victim, beside = tmp_path / "victim", tmp_path / "x.json.tmp"
    victim.write_text("precious")
    if stands == "link":
        beside.symlink_to(victim)
    elif stands == "pipe":
        os.mkfifo(beside)
    else:
        beside.hardlink_to(victim)
    files.write_json(tmp_path / "x.json", {"a": 1})
    assert victim.read_text() == "precious"
    assert files.read_json(tmp_path / "x.json") == {"a": 1}
    assert not (tmp_path / "x.json").is_symlink()
    assert not os.path.lexists(beside)


def test_a_folder_beside_a_file_is_told_and_stays(tmp_path):
    (tmp_path / "x.json.tmp").mkdir()
    with pytest.raises(EarmarkError, match=r"x\.json cannot be written: Is a directory"):
        files.write_json(tmp_path / "x.json", {})
    assert (tmp_path / "x.json.tmp").is_dir()


class Counted(str):
    """A key that counts how often one is compared with another."""

    __slots__ = ()
    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        Counted.compared += 1
        return str.__eq__(self, other)


def test_a_key_that_stands_twice_is_found_at_once_among_many():
    keys = [Counted(f"k{number}") for number in range(2000)]
    with pytest.raises(ValueError, match="'k1999' stands in it twice"):
        files._once_each([(key, 1) for key in [*keys, keys[-1]]])
    assert Counted.compared < 10 * len(keys)
