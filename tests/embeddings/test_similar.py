"""The nearest clips of a corpus: scikit-learn's distances, without the file itself."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from earmark.corpus.manifest import Clip, TagTable, write_tags
from earmark.embeddings import similar
from earmark.embeddings.corpus import CorpusEmbeddings

CLIPS = tuple(Clip(f"{i}", f"0/{i}.mp3", "0", f"song {i // 2}", f"artist {i // 4}", "train") for i in range(8))
VALUES = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)


@pytest.fixture
def make(tmp_path):
    write_tags(
        tmp_path / "tags.csv",
        TagTable(tuple(clip.clip_id for clip in CLIPS), ("harp", "slow"), np.array([[1, i % 2] for i in range(8)])),
    )

    def corpus(metric="cosine"):
        return similar.Corpus(CorpusEmbeddings(CLIPS, VALUES), tmp_path / "audio", tmp_path / "tags.csv", metric)

    return corpus


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_are_the_nearest_by_the_metric(make, tmp_path, metric):
    query = np.ones(5, np.float32)
    distances = pairwise_distances(query[None], VALUES, metric)[0]
    found = make(metric).near(tmp_path / "stranger.mp3", query, 3)
    order = distances.argsort()[:3]
    assert [one.path for one in found] == [CLIPS[i].path for i in order]
    np.testing.assert_allclose([one.distance for one in found], distances[order], rtol=1e-5)
    assert {one.same for one in found} == {""}
    assert found[0].tags == (("harp", "slow") if order[0] % 2 else ("harp",))
    assert len(make(metric).near(tmp_path / "stranger.mp3", query, 99)) == 8


def test_a_clip_of_the_corpus_is_not_its_own_neighbour_and_its_song_and_artist_are_marked(make, tmp_path):
    (tmp_path / "audio/0").mkdir(parents=True)
    (tmp_path / "audio/0/2.mp3").touch()
    (tmp_path / "linked.mp3").symlink_to(tmp_path / "audio/0/2.mp3")
    for file in (tmp_path / "audio/0/2.mp3", tmp_path / "linked.mp3"):
        found = {one.path: one.same for one in make().near(file, VALUES[2], 7)}
        assert found.pop("0/3.mp3") == "song"
        assert found.pop("0/0.mp3") == found.pop("0/1.mp3") == "artist"
        assert set(found.values()) == {""}
        assert "0/2.mp3" not in found
    assert len(make().near(tmp_path / "linked.mp3", VALUES[2], 3)) == 3


def test_they_are_shown_as_a_table_and_as_csv(make, tmp_path):
    found = make().near(tmp_path / "x.mp3", VALUES[5], 2)
    lines = similar.as_table("x.mp3", found).splitlines()
    assert lines[0] == "x.mp3"
    assert lines[1] == "| path    | distance |   artist |       tags |"
    assert "| 0/5.mp3 |   0.0000 | artist 1 | harp, slow |" in lines
    assert "harp..." in similar.as_table("x.mp3", found, tags=7)
    rows = list(csv.DictReader(io.StringIO(similar.as_csv(similar.as_rows("x.mp3", found)))))
    assert rows[0]["path"] == "0/5.mp3"
    assert rows[0]["tags"] == "harp,slow"
    assert rows[0]["song"] == "song 2"


def test_a_cell_of_the_csv_that_looks_like_a_formula_is_none_for_a_spreadsheet():
    rows = similar.as_rows("=cmd", [similar.Neighbour(0.5, "@x.mp3", "+song", "-artist", "", ("=loud", "slow"))])
    (row,) = csv.DictReader(io.StringIO(similar.as_csv(rows)))
    assert row.pop("distance") == "0.5"
    assert list(row.values()) == ["'=cmd", "'@x.mp3", "'+song", "'-artist", "", "'=loud,slow"]


def test_what_a_corpus_does_not_know_is_left_empty_and_tags_may_be_absent(tmp_path):
    plain = tuple(Clip(path, path, "0", path, path, "train") for path in ("a.mp3", "b.mp3"))
    corpus = similar.Corpus(CorpusEmbeddings(plain, VALUES[:2]), tmp_path, tmp_path / "none.csv", "cosine")
    (nearest, _) = corpus.near(tmp_path / "x.mp3", VALUES[0], 2)
    assert (nearest.path, nearest.song, nearest.artist, nearest.tags) == ("a.mp3", "", "", ())
    assert "artist" not in similar.as_table("x.mp3", [nearest])
