"""Which files of a folder are embedded, in which order, and what is told of the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from earmark.decode.audio_files import listed


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_gives_its_music_at_any_depth_sorted_and_counts_the_rest(tmp_path, monkeypatch):
    fill(
        tmp_path, "m/b/2.MP3", "m/b/1.flac", "m/a.wav", "m/._a.wav", "m/.git/x.mp3", "m/cover.jpg", "m/b/no", "odd.xyz"
    )
    monkeypatch.chdir(tmp_path)
    found = listed([Path("odd.xyz"), Path("m"), Path("m/a.wav"), Path("absent.mp3")])
    assert list(found.files) == ["odd.xyz", "m/a.wav", "m/b/1.flac", "m/b/2.MP3", "absent.mp3"]
    assert found.others == ["m/cover.jpg", "m/b/no"]
    assert found.left_out() == "left out, for their suffixes: .jpg (1: cover.jpg), no suffix (1: no)"
    assert not found.unread


def test_a_link_to_a_folder_is_followed_once(tmp_path):
    fill(tmp_path, "m/a.wav", "elsewhere/b.wav")
    (tmp_path / "m/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "m")
    assert [Path(name).name for name in listed([tmp_path / "m"]).files] == ["a.wav", "b.wav"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    fill(tmp_path, "m/a.wav", "m/closed/b.wav")
    real = os.scandir

    def refused(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refused)
    found = listed([tmp_path / "m"])
    assert list(found.files) == [str(tmp_path / "m/a.wav")]
    ((folder, why),) = found.unread.items()
    assert folder.endswith("closed")
    assert why.startswith("not readable: Permission denied")


@pytest.mark.skipif(os.sep != "/", reason="names of bytes are a matter of POSIX")
def test_a_name_that_is_no_text_is_listed(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.wav")).touch()
    assert len(listed([tmp_path]).files) == 1
