"""The playlists of tags: each has a file of its own, whatever a file system takes for the same name."""

from __future__ import annotations

import pytest

from earmark.tagging import playlists
from earmark.tagging.provenance import Written


def test_tags_whose_names_would_be_one_file_have_one_each(tmp_path):
    tags = ["r&b", "r/b", "Rock", "rock", "律" * 300, "律" * 301]
    said = Written("net", [{"tag": tag, "probability": 0.9, "threshold": 0.5} for tag in tags])
    for _ in range(2):
        assert len(playlists.write(tmp_path, [("a.mp3", said)])) == len(tags)
        found = {path.name: path.read_text().splitlines() for path in tmp_path.iterdir()}
        assert {lines[2].removeprefix("#PLAYLIST:") for lines in found.values()} == set(tags)
        assert len({name.casefold() for name in found}) == len(tags)
        assert all(len(name.encode()) <= 255 for name in found)
    assert {"r_b.m3u8", "r_b-2.m3u8"} < set(found)


def test_a_playlist_of_somebody_else_is_told_and_stays(tmp_path):
    (tmp_path / "rock.m3u8").write_text("#EXTM3U\nmine.mp3\n")
    said = Written("net", [{"tag": "rock", "probability": 0.9, "threshold": 0.5}])
    with pytest.raises(playlists.EarmarkError, match=r"rock\.m3u8 is not overwritten: earmark did not write it"):
        playlists.write(tmp_path, [("a.mp3", said)])
    assert (tmp_path / "rock.m3u8").read_text() == "#EXTM3U\nmine.mp3\n"
