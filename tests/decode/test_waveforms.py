"""Waveforms come back where they are needed, and only there."""

from __future__ import annotations

import shutil

import pytest
from helpers.features import MEL, extract
from helpers.music import tone, write_mp3

from earmark.config import WaveformConfig
from earmark.corpus.kinds.magnatagatune import read
from earmark.decode.corpus import decode_corpus
from earmark.decode.waveforms import Waveforms
from earmark.errors import EarmarkError
from earmark.storage.shards import attribute, open_shard


@pytest.fixture
def place(make_corpus, tmp_path):
    """The waveforms and the mel spectrograms of twelve clips."""
    audio, annotations = make_corpus()
    clips = read(audio, annotations)[0]
    decode_corpus(clips, audio, 16_000, WaveformConfig(samples=24_000), tmp_path / "waves")
    waveforms = Waveforms(tmp_path / "waves", clips, audio)
    extract(waveforms, tmp_path / "mel", MEL)
    return waveforms


def held(waveforms):
    paths = {name: waveforms.path(name) for name in waveforms.shards}
    return {name: path.stat().st_mtime_ns for name, path in paths.items() if path.exists()}


def test_current_features_need_neither_waveforms_nor_music(place, tmp_path):
    shutil.rmtree(place.store)
    shutil.rmtree(place.audio)
    assert extract(place, tmp_path / "mel", MEL) == {"clips": 12, "computed": 0}
    assert not place.store.exists()


def test_a_shard_that_the_store_lacks_is_decoded_again_alone_and_with_the_same_bytes(place, tmp_path, capsys):
    content = {name: place.path(name).read_bytes() for name in place.shards}
    features = (tmp_path / "mel/1.h5").read_bytes()
    shutil.rmtree(place.store)
    (tmp_path / "mel/1.h5").unlink()
    assert extract(place, tmp_path / "mel", MEL)["computed"] == 4
    assert (tmp_path / "mel/1.h5").read_bytes() == features
    assert set(held(place)) == {"1"}
    assert place.path("1").read_bytes() == content["1"]
    assert f"decode 16000 Hz: decoded again, since {place.store} lacks them: 1 shards\n" in capsys.readouterr().out
    before = held(place)
    extract(place, tmp_path / "other", MEL | {"n_mels": 24})
    assert held(place)["1"] == before["1"]
    assert {name: place.path(name).read_bytes() for name in place.shards} == content


def test_a_damaged_shard_is_decoded_again(place, tmp_path):
    content, before = place.path("c").read_bytes(), held(place)
    place.path("c").write_bytes(b"half a shard")
    extract(place, tmp_path / "other", MEL | {"n_mels": 24})
    assert place.path("c").read_bytes() == content
    after = held(place)
    assert {name for name in after if after[name] != before[name]} == {"c"}


def test_features_that_need_music_which_is_not_here_say_where_they_can_be_had(place, tmp_path):
    shutil.rmtree(place.store)
    shutil.rmtree(place.audio)
    message = (
        rf"other cannot be computed here: \S+ lacks the waveforms of shard 0, and their music is not in {place.audio} "
        r"\(corpus\.audio\); `dvc pull \S+other` brings"
    )
    with pytest.raises(EarmarkError, match=message):
        extract(place, tmp_path / "other", MEL | {"n_mels": 24})
    assert not (tmp_path / "other").exists()


def test_music_or_code_that_has_changed_since_the_index_was_made_is_an_error(place, tmp_path, monkeypatch):
    place.path("c").unlink()
    first = sorted((place.audio / "c").glob("*.mp3"))[0]
    content = first.read_bytes()
    write_mp3(first, tone(2, 999))
    message = r"index\.json has shard c as \w{12}, but decoded now it would be \w{12}: %s; run `dvc repro decode@16000`"
    with pytest.raises(EarmarkError, match=message % "its music has changed"):
        place.ready("c", tmp_path / "mel")
    first.unlink()
    with pytest.raises(EarmarkError, match=message % "1 of its 2 files are not in .*"):
        place.ready("c", tmp_path / "mel")
    first.write_bytes(content)
    digest = "earmark.storage.provenance.digest"
    monkeypatch.setattr(digest, lambda _: "of other code")
    with pytest.raises(EarmarkError, match=message % "the code that decodes has changed"):
        place.ready("c", tmp_path / "mel")
    monkeypatch.undo()
    assert not place.path("c").exists()
    place.ready("c", tmp_path / "mel")
    assert place.path("c").exists()


def test_waveforms_that_are_decoded_by_an_updated_decoder_are_not_mixed_with_others(
    place, tmp_path, monkeypatch, capsys
):
    before = held(place)
    monkeypatch.setattr("earmark.decode.corpus.makers", lambda: {"soxr": "9"})
    place.ready(place.shards, tmp_path / "mel")
    assert held(place) == before
    place.path("d").unlink()
    assert set(map(str, place.makers("01cd").values())) == {"{'soxr': '9'}"}
    place.ready("01cd", tmp_path / "mel")
    assert "3 shards of other makers (" in capsys.readouterr().out
    for name in place.shards:
        with open_shard(place.path(name)) as file:
            assert attribute(file, "makers") == {"soxr": "9"}


def test_the_rows_of_songs_in_segments_are_known_without_waveforms(make_corpus, tmp_path):
    audio, annotations = make_corpus()
    clips = read(audio, annotations)[0]
    config = WaveformConfig(samples=16_000, policy="segments")
    decode_corpus(clips, audio, 16_000, config, tmp_path / "waves")
    waveforms = Waveforms(tmp_path / "waves", clips, audio)
    settings = MEL | {"samples": 16_000}
    extract(waveforms, tmp_path / "mel", settings)
    shutil.rmtree(waveforms.store)
    assert extract(waveforms, tmp_path / "mel", settings) == {"clips": 24, "computed": 0}
    assert waveforms.ready("d", tmp_path / "mel")["d"].exists()
