"""Rows become clips and a tag table, and every folder becomes a shard."""

from __future__ import annotations

import socket
import unicodedata

import h5py
import pytest
from helpers.corpora import write
from helpers.tiny_corpora import ROWS, Tiny

from earmark.corpus.kinds import table
from earmark.corpus.notes import collected
from earmark.corpus.read import read_corpus
from earmark.corpus.rows import shard_of
from earmark.corpus.splits import hashed


def test_shards_are_folders_and_different_folders_are_different_shards():
    assert shard_of("a/b.mp3") == "a"
    assert shard_of("b.mp3") in "0123456789abcdef"
    assert len({shard_of(p) for p in ("a b/x", "a_b/x", "a/b/x", "a-b/x")}) == 4


def test_a_shards_name_is_cut_only_where_no_file_could_have_it():
    """With a dot, `.h5`, a machine's name of one letter, a process's of one digit and `.copy`: 255 bytes."""
    whole = "x" * 242
    assert len(f".{whole}.h5.m-1.copy") == 255
    assert shard_of(f"{whole}/a.mp3") == whole
    one, other = (shard_of(f"{'x' * 250}{end}/a.mp3") for end in "ab")
    assert one != other
    assert len(one) == len(other) == 242
    assert one.startswith("x" * 200)
    assert len(shard_of("/".join(["x" * 250] * 12) + "/a.mp3")) == 242
    assert len(shard_of(f"{'x y' * 80}/a.mp3")) <= 242


@pytest.mark.parametrize("length", [230, 254])
def test_a_corpus_with_long_folders_comes_to_its_features_on_a_machine_of_any_name(tmp_path, monkeypatch, length):
    monkeypatch.setattr(socket, "gethostname", lambda: "m" * 64)
    tiny = Tiny(tmp_path)
    long = "x" * length
    (tiny.audio / "f").rename(tiny.audio / long)
    text = (tmp_path / "table.csv").read_text()
    tiny.table(*text.replace("\nf/", f"\n{long}/").splitlines())
    tiny.settings["experiments"] = {}
    tiny.stages()
    shards = {path.stem: path for path in (tmp_path / "made/mel").glob("*.h5")}
    assert shards.keys() == {"s", shard_of(f"{long}/0.wav")}
    with h5py.File(shards[shard_of(f"{long}/0.wav")]) as file:
        assert len(file["clip_id"]) == 6


def test_a_table_in_another_normal_form_gives_the_same_clips_but_for_the_files_names(tmp_path):
    """Its ids, songs, splits and shards are the table's, so that a copy on another disk computes nothing again."""
    tiny = Tiny(tmp_path)
    composed, decomposed = (unicodedata.normalize(form, "Sigur Rós") for form in ("NFC", "NFD"))
    text = (tmp_path / "table.csv").read_text().replace("\nf/", f"\n{composed}/")
    tiny.table(*text.splitlines())
    found = {}
    for form in (composed, decomposed):
        (tiny.audio / (composed if (tiny.audio / composed).exists() else "f")).rename(tiny.audio / form)
        clips, _ = table.read(tmp_path / "table.csv", tiny.audio)
        assert all((tiny.audio / clip.path).is_file() for clip in clips)
        found[form] = [(c.clip_id, c.shard, c.song, c.artist, c.split) for c in clips]
    assert found[composed] == found[decomposed]
    assert len(found[composed]) == len(ROWS)


def test_rows_without_a_split_follow_their_artist_and_are_counted(tmp_path):
    rows = [f"{n}.wav,rock,{artist},{split}" for n, (artist, split) in enumerate(
        [("Ann", "test"), ("Ann", ""), ("Bob", ""), ("Ann", "")]
    )]  # fmt: skip
    file = write(tmp_path / "table.csv", "\n".join(["path,tags,artist,split", *rows]) + "\n")
    with collected() as remarks:
        clips, _ = table.read(file)
    assert [clip.split for clip in clips] == ["test", "test", hashed("Bob"), "test"]
    assert [line for line in remarks if line.startswith("3 of 4 rows name no split: ")]
    file = write(tmp_path / "none.csv", "path,tags,artist\n1.wav,rock,Ann\n")
    with collected() as remarks:
        assert table.read(file)[0][0].split == hashed("Ann")
    assert not remarks


def test_a_file_that_is_of_several_clips_is_told_whatever_the_kind(tmp_path, capsys):
    tiny = Tiny(tmp_path)
    tiny.table("path,tags,clip_id,split", "f/0.wav,rock,1,train", "f/0.wav,jazz,2,test", "f/2.wav,rock,3,valid")
    read_corpus(tiny.write_settings(), tmp_path / "out")
    assert "warning: 1 files are of several clips, 'f/0.wav' for one: of '1', '2'\n" in capsys.readouterr().err
