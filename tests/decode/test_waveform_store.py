"""Where waveforms lie, and what is cleared away there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from earmark.decode import waveform_store
from earmark.errors import EarmarkError


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A DVC repository, as far as its folders go, on a machine without settings."""
    monkeypatch.delenv("EARMARK_WAVEFORMS", raising=False)
    for level in ("GLOBAL", "SYSTEM"):
        monkeypatch.setenv(f"DVC_{level}_CONFIG_DIR", str(tmp_path / level.lower()))
        (tmp_path / level.lower()).mkdir()
    (tmp_path / "project/.dvc").mkdir(parents=True)
    return tmp_path / "project"


def root(project):
    return waveform_store.root(project / "data/waveforms/16000")


def test_the_store_lies_beside_the_cache_which_is_where_dvc_has_it(project, tmp_path):
    assert root(project) == project / ".dvc/earmark-waveforms"
    (tmp_path / "system/config").write_text("[cache]\n    dir = /everyones/cache\n")
    assert str(root(project)) == "/everyones/earmark-waveforms"
    (tmp_path / "global/config").write_text("[cache]\n    dir = ../mine/cache\n")
    assert root(project) == tmp_path / "mine/earmark-waveforms"
    (project / ".dvc/config").write_text(
        "[core]\n    analytics = false\n    remote = team\n['remote \"team\"']\n    url = s3://a%20/b\n"
        "[cache]\n    type = hardlink,symlink\n    dir = ../../shared/cache\n"
    )
    assert root(project) == tmp_path / "shared/earmark-waveforms"
    (project / ".dvc/config.local").write_text(f'[cache]\ndir = "{tmp_path}/local/cache"\n')
    assert root(project) == tmp_path / "local/earmark-waveforms"


def test_a_cache_that_is_a_link_takes_the_store_to_its_disk(project, tmp_path):
    (tmp_path / "disk/cache").mkdir(parents=True)
    (project / ".dvc/cache").symlink_to(tmp_path / "disk/cache")
    assert root(project) == tmp_path / "disk/earmark-waveforms"


def test_the_variable_comes_first_and_outside_of_a_repository_the_store_lies_beside_the_index(
    project, tmp_path, monkeypatch
):
    assert waveform_store.root(tmp_path / "data/waveforms/16000") == tmp_path / "data/waveforms/.earmark-waveforms"
    monkeypatch.setenv("EARMARK_WAVEFORMS", str(tmp_path / "there"))
    assert root(project) == tmp_path / "there"
    monkeypatch.setenv("EARMARK_WAVEFORMS", "there")
    with pytest.raises(EarmarkError, match="EARMARK_WAVEFORMS must be an absolute path, got 'there'"):
        root(project)


def test_a_store_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("where a folder must be")
    with pytest.raises(EarmarkError, match=r"file/store takes no waveforms \(.*; EARMARK_WAVEFORMS may name another"):
        waveform_store.prepare(waveform_store.place(tmp_path / "file/store", "abc"))


def test_a_configuration_that_cannot_be_read_is_named(project):
    (project / ".dvc/config").write_text("dir = without a section\n")
    with pytest.raises(EarmarkError, match=r"(?s)\.dvc/config cannot be read .* or set EARMARK_WAVEFORMS"):
        root(project)


def ended_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_process_was_writing_is_swept_away_and_what_a_living_one_writes_is_not(tmp_path):
    path = waveform_store.place(tmp_path, "abc")
    path.parent.mkdir()
    host, dead = socket.gethostname(), ended_process()
    gone = [f".abc.h5.{host}-{dead}.tmp", f".abc.h5.{host}-{dead}.copy"]
    kept = [f".abc.h5.{host}-{os.getpid()}.tmp", f".abc.h5.another-{dead}.tmp", f".abd.h5.{host}-{dead}.tmp", "abc.h5"]
    for name in (*gone, *kept):
        (path.parent / name).write_bytes(b"waves")
    waveform_store.prepare(path)
    assert sorted(entry.name for entry in path.parent.iterdir()) == sorted(kept)


def test_pruning_leaves_what_is_to_be_kept(tmp_path):
    for fingerprint in ("abc", "abd", "bcd"):
        path = waveform_store.place(tmp_path, fingerprint)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"waves")
    (tmp_path / "ab/.abe.h5.machine-7.tmp").write_bytes(b"half")
    (tmp_path / "other").write_text("not of the store")
    assert waveform_store.size(waveform_store.held(tmp_path).values()) == "0.0 GB"
    assert [path.stem for path in waveform_store.prune(tmp_path, {"abd"})] == ["abc", "bcd"]
    assert list(waveform_store.held(tmp_path)) == ["abd"]
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["abd.h5", "other"]


@pytest.mark.parametrize("fingerprint", ["/etc/x", "xx/../../etc/passwd", "..", "", "ABC", "ab\n"])
def test_a_fingerprint_is_no_path(tmp_path, fingerprint):
    with pytest.raises(EarmarkError, match="a shard is named by hexadecimal digits, got"):
        waveform_store.place(tmp_path, fingerprint)
