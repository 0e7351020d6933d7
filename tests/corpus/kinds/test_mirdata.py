"""Data sets of mirdata: tracks become clips, by the package itself if it is there, and by a stand-in of it always."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.corpora import write

from earmark.config import ConfigError, CorpusConfig, load
from earmark.corpus import registry
from earmark.corpus.kinds import mirdata
from earmark.corpus.manifest import CorpusError
from earmark.corpus_choices import MirdataConfig


class Track:
    """What mirdata's tracks are like: some attributes are set, others are read from a file when they are asked for."""

    def __init__(self, audio_path, **values):
        self.audio_path = audio_path
        vars(self).update(values)

    @property
    def beats(self):
        raise FileNotFoundError(2, "No such file or directory", "beats.txt")


class Dataset:
    def __init__(self, tracks):
        self.tracks, self.index_path = tracks, "the package's own index"

    def load_tracks(self):
        if isinstance(self.tracks, Exception):
            raise self.tracks
        return self.tracks


@pytest.fixture
def package(monkeypatch, tmp_path):
    """Put a stand-in of mirdata into place, with these tracks; the audio is below the folder that comes back."""

    def put(tracks):
        dataset = Dataset(tracks)
        if isinstance(tracks, dict):
            for track in tracks.values():
                track.audio_path = track.audio_path and str(tmp_path / track.audio_path)
        stand_in = SimpleNamespace(
            __version__="1.0", list_datasets=lambda: ["gtzan_genre", "irmas"], initialize=lambda *_, **__: dataset
        )
        monkeypatch.setitem(sys.modules, "mirdata", stand_in)
        return dataset

    return put


def read(folder, **choice):
    return mirdata.read(folder, folder, MirdataConfig.model_validate({"dataset": "gtzan_genre"} | choice))


def test_tracks_become_clips_with_tags_artists_and_splits(package, tmp_path):
    package({
        "b.1": Track("x/b.wav", genre="blues", artist="Ann", split="training"),
        "r.2": Track("x/r.wav", genre=["rock", "loud", "rock"], artist=["Bob", "Cy"], split="Validation"),
        "n.3": Track("n.wav", genre=None, artist=None, split="test"),
    })  # fmt: skip
    clips, tags = read(tmp_path)
    assert [(c.clip_id, c.path, c.artist, c.split) for c in clips] == [
        ("b.1", "x/b.wav", "Ann", "train"), ("r.2", "x/r.wav", "Bob, Cy", "valid"), ("n.3", "n.wav", "n.wav", "test"),
    ]  # fmt: skip
    assert tags.tags == ("blues", "rock", "loud")
    np.testing.assert_array_equal(tags.values, [[1, 0, 0], [0, 1, 1], [0, 0, 0]])


def test_other_attributes_may_be_named_and_what_a_data_set_lacks_by_default_is_derived(package, tmp_path):
    package({
        "1": Track("1.wav", instruments={"piano": 0.9, "voice": 0.1}, key=3, artist_id=7, album="A"),
        "2": Track("2.wav", instruments={"voice": 0.5}, key=4, artist_id=7, album="A"),
    })  # fmt: skip
    clips, tags = read(tmp_path, attribute="instruments", artist="artist_id", song="album")
    assert tags.tags == ("piano", "voice")
    assert {(c.artist, c.song) for c in clips} == {("7", "A")}
    assert len({c.split for c in clips}) == 1, "an artist's name decides where the data set has no split"
    clips, tags = read(tmp_path, attribute="key")
    assert [clip.artist for clip in clips] == ["1.wav", "2.wav"]
    assert tags.tags == ("3", "4")


def test_tracks_without_audio_are_left_out_and_counted(package, tmp_path, capsys):
    package({"1": Track("1.wav", genre="a"), "2": Track(None, genre="b"), "3": Track(None, genre="b")})
    assert [clip.clip_id for clip in read(tmp_path)[0]] == ["1"]
    told = capsys.readouterr().err
    assert (
        told == "warning: mirdata gtzan_genre: 2 of 3 tracks have no audio_path and are left out, the first being 2\n"
    )


def test_an_index_that_is_named_is_the_one_that_is_read(package, tmp_path):
    dataset = package({"1": Track("1.wav", genre="a")})
    index = write(tmp_path / "index.json", "{}")
    mirdata.read(tmp_path, index, MirdataConfig(dataset="gtzan_genre"))
    assert dataset.index_path == str(index)
    with pytest.raises(CorpusError, match=r"^corpus\.annotations: .*none\.json does not exist"):
        mirdata.read(tmp_path, tmp_path / "none.json", MirdataConfig(dataset="gtzan_genre"))


@pytest.mark.parametrize(
    ("tracks", "choice", "told"),
    [
        ({}, {"dataset": "gtzan"}, r"dataset must be a data set of mirdata, got 'gtzan': close to gtzan_genre"),
        ({}, {}, r"the package's own index has no track"),
        (FileNotFoundError("no index"), {}, r"no index; in Python, `mirdata\.initialize\('gtzan_genre', .*\['index'\]"),
        (ValueError("Expecting value"), {}, r"gives no tracks: ValueError\('Expecting value'\)"),
        ({"1": Track("1.wav", genre="a")}, {"attribute": "genres"}, r"have no 'genres': close to genre; there are "),
        ({"1": Track("1.wav", genre="a")}, {"artist": "artist_id"}, r"have no 'artist_id'"),
        ({"1": Track("1.wav")}, {"attribute": "beats"}, r"beats is read from beats\.txt, which is not there"),
        ({"1": Track("1.wav", genre=object())}, {}, r"track 1: genre must be a text, a number, a list .*, got <obj"),
        ({"1": Track("1.wav", genre="a", split="fold1")}, {}, r"track 1: the split must be one of train, .*'fold1'"),
        (
            {"1": Track("1.wav", genre="a", split="test"), "2": Track("2.wav", genre="a", split=None)}, {},
            r"track 2: it has no split, as 1 of 2 tracks; `split: null`",
        ),
        ({"1": Track("../1.wav", genre="a")}, {}, r"track 1: the path must lie inside the audio folder"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(package, tmp_path, tracks, choice, told):
    package(tracks)
    with pytest.raises(CorpusError, match=told):
        read(tmp_path, **choice)


def test_a_split_may_be_left_to_the_corpus(package, tmp_path):
    package({"1": Track("1.wav", genre="a", split="fold1")})
    assert read(tmp_path, split=None)[0]


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mirdata", None)
    with pytest.raises(CorpusError, match=r"pip install 'earmark\[mirdata\]'"):
        read(tmp_path)


def test_the_kind_needs_its_section_and_is_listed_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mirdata", None)
    assert "mirdata" in registry.kinds()
    assert registry.broken("mirdata") == frozenset()
    with pytest.raises(ValueError, match=r"kind: mirdata needs `mirdata: \{dataset: gtzan_genre"):
        CorpusConfig.model_validate({"kind": "mirdata", "audio": "a", "annotations": "a"})
    params = write(tmp_path / "params.yaml", "corpus: {kind: mirdata, audio: a, annotations: a, mirdata: {}}\n")
    with pytest.raises(ConfigError, match=r"corpus\.mirdata\.dataset is missing"):
        load(params)


def test_the_package_itself_reads_gtzan_by_an_index_of_its_form(tmp_path):
    pytest.importorskip("mirdata", reason="the extra mirdata is not installed")
    tracks = {
        name: {"audio": [f"gtzan_genre/genres/{name.partition('.')[0]}/{name}.wav", "0" * 32], "beats": [None, None],
               "tempo": [None, None]}
        for name in ("blues.00000", "hiphop.00001", "rock.00000")
    }  # fmt: skip
    index = write(tmp_path / "index.json", json.dumps({"version": "1.0", "tracks": tracks}))
    config = CorpusConfig.model_validate(
        {"kind": "mirdata", "audio": tmp_path, "annotations": index, "mirdata": {"dataset": "gtzan_genre"}}
    )
    clips, tags = registry.module("mirdata").corpus(config)
    assert tags.tags == ("blues", "hip-hop", "rock")
    assert clips[1].path == "gtzan_genre/genres/hiphop/hiphop.00001.wav"
    with pytest.raises(CorpusError, match=r"there are audio, audio_path, beats, .*genre"):
        mirdata.read(tmp_path, index, MirdataConfig(dataset="gtzan_genre", attribute="mood"))
    write(index, "{")
    with pytest.raises(CorpusError, match=r"index\.json gives no tracks: JSONDecodeError"):
        mirdata.read(tmp_path, index, MirdataConfig(dataset="gtzan_genre"))
    with pytest.raises(CorpusError, match=r"must be downloaded.*download\(\['index'\]\)"):
        mirdata.read(tmp_path, tmp_path, MirdataConfig(dataset="gtzan_genre"))


def test_what_a_table_of_pandas_lacks_is_no_tag():
    assert mirdata._texts(float("nan"), "x") == []
    assert mirdata._texts(["rock", float("nan"), None], "x") == ["rock"]
