"""`earmark predict` of files and folders: in order, decoded ahead, and whatever becomes of one file."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import soundfile as sf
from helpers import bad_decoders
from helpers.music import tone
from helpers.small_data import fill

from earmark import predict_files
from earmark.cli import main
from earmark.decode.audio import RejectedError
from earmark.errors import EarmarkError
from earmark.predict import open_predictor


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    from helpers.music import write_songs

    folder = tmp_path_factory.mktemp("place")
    return fill(folder, *write_songs(folder))


@pytest.fixture
def music(tmp_path):
    """Two songs of other folders, a broken one, a picture, and what macOS leaves behind."""
    for name, hz in (("a/low.wav", 300), ("b/high.flac", 2400)):
        (tmp_path / "music" / name).parent.mkdir(parents=True)
        sf.write(tmp_path / "music" / name, tone(3, hz), 16_000)
    (tmp_path / "music/a/broken.mp3").write_bytes(b"")
    (tmp_path / "music/a/cover.JPG").touch()
    (tmp_path / "music/a/._low.wav").write_bytes(b"Mac OS X")
    return tmp_path / "music"


def arguments(place, *files):
    return ["predict", "--params", str(place.params), "--data", str(place.data), *map(str, files)]


def test_a_folder_is_gone_through_and_what_has_no_tags_is_told(place, music, capsys):
    assert main([*arguments(place, music), "--json"]) == 1
    shown = capsys.readouterr()
    rows = json.loads(shown.out)
    assert [row["file"] for row in rows] == [str(music / name) for name in ("a/low.wav", "b/high.flac", "a/broken.mp3")]
    assert rows[2] == {"file": str(music / "a/broken.mp3"), "error": "empty file (0 bytes)"}
    assert f"{music / 'a/broken.mp3'}: empty file (0 bytes)\n" in shown.err
    assert "left out, for their suffixes: .jpg (1: cover.JPG)\n" in shown.err
    assert "without tags: 1 of 3\n" in shown.err
    (music / "a/broken.mp3").unlink()
    assert main([*arguments(place, music, music / "a/cover.JPG")]) == 1  # what is named itself is taken for music
    assert main(arguments(place, music)) == 0
    shown = capsys.readouterr().out
    assert shown.index("low.wav: 3.0 s") < shown.index("high.flac: 3.0 s")


def test_a_folder_without_music_is_an_error(place, tmp_path, capsys):
    (tmp_path / "x.txt").touch()
    with pytest.raises(SystemExit):
        main(arguments(place, tmp_path))
    assert "no file there ends in .mp3, .wav" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_told(place, music, capsys):
    (music / "b").chmod(0)
    try:
        assert main(arguments(place, music)) == 1
    finally:
        (music / "b").chmod(0o755)
    assert f"{music / 'b'}: not readable: Permission denied" in capsys.readouterr().err


def test_one_bad_file_does_not_end_the_batch_whatever_it_does(place, music, monkeypatch):
    """A decoder that crashes, one that uses up the memory, and a network that fails."""
    for name in ("crash-1.wav", "memory-1.wav", "fail-1.wav", "z.wav"):
        shutil.copy(music / "a/low.wav", music / name)
    monkeypatch.setattr("earmark.features.listener.decode_blocks", bad_decoders.blocks_by_name)
    predictor = open_predictor(place.params, "linear", place.data)
    real = predictor.predict_blocks

    def fail(path, blocks):
        if path.name.startswith("fail"):
            raise EarmarkError("the network is broken")
        return real(path, blocks)

    monkeypatch.setattr(predictor, "predict_blocks", fail)
    files = {name: music / name for name in ("crash-1.wav", "a/low.wav", "memory-1.wav", "fail-1.wav", "z.wav")}
    found = dict(predict_files.predicted(predictor, files))
    assert list(found) == list(files)
    assert found["crash-1.wav"] == "the decoder crashed (SIGSEGV)"
    assert found["memory-1.wav"].startswith("needs more than")
    assert found["fail-1.wav"] == "the network is broken"
    assert found["a/low.wav"].segments == found["z.wav"].segments == 2
    monkeypatch.undo()
    alone = predictor.predict(files["z.wav"])
    assert (found["z.wav"].probabilities == alone.probabilities).all()


def test_what_a_file_lacks_is_told_or_rejects_it_as_the_settings_say(place, music, capsys):
    path = music / "a/low.wav"
    os.truncate(path, path.stat().st_size - 32_000)  # the third second
    assert main([*arguments(place, path)]) == 0
    assert "low.wav: 2.0 s in 1 segment; ends at 2.0 s of 3.0 s" in capsys.readouterr().out
    assert main([*arguments(place, path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["incomplete"].startswith("ends at 2.0 s of 3.0 s")
    predictor = open_predictor(place.params, "linear", place.data)
    predictor.embed(path)
    assert f"warning: {path}: ends at 2.0 s of 3.0 s" in capsys.readouterr().err
    predictor.listener.waveform = predictor.listener.waveform.model_copy(update={"incomplete": "reject"})
    with pytest.raises(RejectedError, match=r"incomplete: ends at 2\.0 s of 3\.0 s"):
        predictor.predict(path)
