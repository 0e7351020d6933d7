"""`earmark predict` of files and folders: in order, decoded ahead, and whatever becomes of one file."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from helpers import bad_decoders
from helpers.music import tone
from helpers.small_data import fill

import earmark
from earmark import predict_files
from earmark.cli import main
from earmark.decode.audio import RejectedError
from earmark.errors import EarmarkError
from earmark.models.saved import ModelError
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


def test_a_csv_has_a_row_per_file_and_tag_and_a_spreadsheet_computes_none(place, music, tmp_path, capsys, monkeypatch):
    (music / "a/broken.mp3").unlink()
    (tmp_path / "=cmd.wav").write_bytes((music / "a/low.wav").read_bytes())
    out = tmp_path / "tags.csv"
    monkeypatch.chdir(tmp_path)
    assert main([*arguments(place, music, "=cmd.wav"), "--csv", str(out), "--top", "2", "--jsonl"]) == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert list(rows[0]) == ["file", "tag", "probability", "threshold", "predicted"]
    named = [str(music / "a/low.wav"), str(music / "b/high.flac"), "'=cmd.wav"]
    assert [row["file"] for row in rows] == [name for name in named for _ in range(2)]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [len(line["tags"]) for line in lines] == [2, 2, 2]
    assert float(rows[0]["probability"]) == pytest.approx(lines[0]["tags"][0]["probability"], abs=1e-6)


def test_a_file_whose_name_is_no_text_is_in_the_csv_and_drawn_with_escapes(place, music, tmp_path, capsys):
    named = tmp_path / "x\udcff.mp3"
    sf.write(tmp_path / "x.mp3", tone(3, 300), 16_000)
    (tmp_path / "x.mp3").rename(named)
    out, pictures = tmp_path / "tags.csv", tmp_path / "p"
    assert main([*arguments(place, named, music / "b/high.flac"), "--csv", str(out), "--plot", str(pictures)]) == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["file"] for row in rows[::3]] == [f"{tmp_path}/x\\udcff.mp3", str(music / "b/high.flac")]
    assert sorted(file.name for file in pictures.iterdir()) == ["high.flac.png", "x\udcff.mp3.png"]
    capsys.readouterr()


def test_a_picture_of_a_long_name_has_a_shorter_one_and_a_pipe_there_is_not_waited_for(place, music, tmp_path, capsys):
    long = tmp_path / f"{'é' * 124}.wav"
    shutil.copy(music / "a/low.wav", long)
    (tmp_path / "p").mkdir()
    os.mkfifo(tmp_path / "p" / f"{'é' * 100}.png")
    assert main([*arguments(place, long), "--plot", str(tmp_path / "p")]) == 0
    assert (tmp_path / "p" / f"{'é' * 100}-2.png").read_bytes()[:4] == b"\x89PNG"
    capsys.readouterr()


def test_a_csv_is_not_written_through_a_link_at_its_unfinished_name(place, music, tmp_path, capsys):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "tags.csv.partial").symlink_to(tmp_path / "victim")
    assert main([*arguments(place, music / "a/low.wav"), "--csv", str(tmp_path / "tags.csv")]) == 0
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "tags.csv").is_symlink()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("drum, bass", ("drum, bass",)),
        ("piano,drum, bass", ("piano", "drum, bass")),
        ("bass , drum,,bass", ("bass", "drum")),
        ("drum,bass", ("drum", "bass")),
    ],
)
def test_a_tag_with_commas_is_named_as_it_is(text, tags):
    assert predict_files.chosen(text, ("bass", "drum", "drum, bass", "piano")) == tags


def test_a_timeline_has_the_time_of_every_segment(place, music, tmp_path, capsys):
    given = [*arguments(place, music / "a/low.wav"), "--timeline", "--tags", "low,high"]
    assert main(given) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].split() == ["from", "to", *shown[1].split()[2:]]
    assert set(shown[1].split()[2:]) == {"low", "high"}
    assert shown[2].split()[0] == "0:00.0"
    assert main([*given, "--csv", "-"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["tag"] for row in rows[:2]] == shown[1].split()[2:]
    assert float(rows[0]["start"]) == 0
    assert float(rows[-1]["end"]) == pytest.approx(3, abs=0.01)
    assert main([*given, "--json", "--plot", str(tmp_path / "p")]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert len(row["timeline"]) == row["segments"]
    assert (tmp_path / "p/low.wav.png").read_bytes()[:4] == b"\x89PNG"


def test_a_picture_takes_the_place_of_an_earlier_one_of_its_file_and_of_nothing_else(place, music, tmp_path, capsys):
    pictures, same_name = tmp_path / "p", tmp_path / "low.wav"
    shutil.copy(music / "a/low.wav", same_name)
    pictures.mkdir()
    (pictures / "low.wav.png").write_bytes(b"a cover")
    for _ in range(2):
        assert main([*arguments(place, music / "a/low.wav", same_name), "--plot", str(pictures)]) == 0
        names = sorted(file.name for file in pictures.iterdir())
        assert names == ["low.wav-2.png", "low.wav-3.png", "low.wav.png"]
    assert (pictures / "low.wav.png").read_bytes() == b"a cover"
    assert main([*arguments(place, same_name), "--top", "1", "--plot", str(pictures)]) == 0
    assert len(list(pictures.iterdir())) == 3
    capsys.readouterr()


def test_a_threshold_of_ones_own_takes_the_place_of_those_that_validation_chose(place, music, capsys):
    tags = {}
    for given in ([], ["--threshold", "0.5"], ["--threshold", "1"]):
        assert main([*arguments(place, music / "a/low.wav"), "--json", *given]) == 0
        tags[tuple(given)] = json.loads(capsys.readouterr().out)[0]["tags"]
    chosen, half, never = tags.values()
    saved = open_predictor(place.params, None, place.data)
    expected = dict(zip(saved.tags, saved.thresholds, strict=True))
    assert {row["tag"]: row["threshold"] for row in chosen} == pytest.approx(expected)
    assert any(row["threshold"] != 0.5 for row in chosen)
    assert all(row["threshold"] == 0.5 and row["predicted"] == (row["probability"] >= 0.5) for row in half)
    assert not any(row["predicted"] for row in never)


def test_verbose_tells_what_predicts_and_how_long_it_took(place, music, capsys):
    for more, told in (([], False), (["--verbose"], True), (["--quiet"], False)):
        assert main([*arguments(place, music / "a/low.wav"), *more]) == 0
        shown = capsys.readouterr()
        assert "probability" in shown.out
        assert (": mel, 3 tags, 1 seed, on cpu" in shown.err) is told
        assert ("earmark: " in shown.err) is told


def test_labels_of_ones_own_judge_what_is_predicted(place, music, tmp_path, capsys):
    (tmp_path / "labels.csv").write_text("file,high,low\nlow.wav,0,1\nhigh.flac,1,0\n")
    (music / "a/broken.mp3").unlink()
    assert main([*arguments(place, music), "--labels", str(tmp_path / "labels.csv")]) == 0
    shown = capsys.readouterr().out
    assert "labels.csv: 2 of 2 files have a prediction" in shown
    assert "ROC-AUC 1.0000, PR-AUC 1.0000: means of 2 tags" in shown


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--tags", "lo"], "--tags must be tags of the model, got 'lo': close to low, loud"),
        (["--tags", " ,"], "--tags must name a tag"),
        (["--csv", "-", "--json"], "--csv - prints where --json and --jsonl do"),
        (["--device", "gpu"], "EARMARK_DEVICE must be cpu"),
    ],
)
def test_a_wish_that_cannot_be_met_is_told(place, music, capsys, monkeypatch, given, told):
    monkeypatch.setenv("EARMARK_DEVICE", "cpu")
    with pytest.raises(SystemExit):
        main([*arguments(place, music / "a/low.wav"), *given])
    assert told in capsys.readouterr().err


def test_a_folder_without_music_is_no_success(place, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit):
        main(arguments(place, tmp_path / "empty"))
    assert "empty: no file there ends in .mp3" in capsys.readouterr().err


def test_a_bundle_predicts_where_nothing_else_is(place, music, tmp_path, monkeypatch, capsys):
    """All that is left of the repository is one file."""
    out = tmp_path / "best.earmark"
    assert main(["bundle", "linear", "-o", str(out), "--params", str(place.params), "--data", str(place.data)]) == 0
    assert "1 model of linear, 3 tags" in capsys.readouterr().out
    song = music / "a/low.wav"
    expected = open_predictor(place.params, None, place.data).predict(song)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["predict", "--model", str(out), "--json", str(song)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    found = {one["tag"]: one["probability"] for one in row["tags"]}
    assert found == dict(zip(expected.tags, expected.probabilities.tolist(), strict=True))
    with pytest.raises(SystemExit):
        main(["predict", str(song)])
    assert (
        "name a model by --model (a bundle, a model's file or folder, or published weights)" in capsys.readouterr().err
    )
    assert earmark.load(out).predict(song).probabilities.tolist() == expected.probabilities.tolist()
    with pytest.raises(SystemExit):
        main(["predict", "--model", "absent.earmark", str(song)])
    assert "absent.earmark does not exist; `earmark bundle" in capsys.readouterr().err


def test_a_folder_is_a_model_wherever_it_lies_and_one_without_a_model_is_refused_as_load_refuses_it(
    place, music, tmp_path, monkeypatch, capsys
):
    """Relative, as a shell completes it; with a params.yaml that knows no such experiment, and without one."""
    song = music / "a/low.wav"
    expected = open_predictor(place.params, None, place.data).predict(song).probabilities.tolist()
    monkeypatch.chdir(tmp_path)
    shutil.copytree(place.data / "models/linear", "kept/mine")
    (tmp_path / "kept/none").mkdir()
    known = ["--params", str(place.params), "--data", str(place.data)]
    for where in (known, []):
        assert main(["predict", *where, "--model", "kept/mine/", "--json", str(song)]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert {one["tag"]: one["probability"] for one in row["tags"]} == dict(
            zip(("high", "low", "loud"), expected, strict=True)
        )
        for command in (["predict", song], ["tag", song, "--dry-run"], ["embed", song, "--out", "x.h5"]):
            assert main([*map(str, command), *where, "--model", "kept/mine"]) == 0
            with pytest.raises(SystemExit):
                main([*map(str, command), *where, "--model", "kept/none"])
            told = capsys.readouterr().err
            with pytest.raises(ModelError) as caught:
                earmark.load("kept/none")
            assert str(caught.value) in told


def test_an_experiment_goes_before_a_folder_of_its_name(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "linear").mkdir()
    assert open_predictor(place.params, "linear", place.data).tags
    shutil.copytree(place.data, "data", ignore=shutil.ignore_patterns("waveforms", "features"))
    assert open_predictor(tmp_path / "params.yaml", "linear", Path("data")).tags


def test_several_seeds_are_averaged(place, music, tmp_path):
    saved = open_predictor(place.params, None, place.data).saved
    other = dataclasses.replace(
        saved, weights={name: 0.5 * weights for name, weights in saved.weights.items()}, thresholds=(0.1,) * 3
    )
    for seed, model in ((2, other), (1, saved)):
        model.save(tmp_path / f"both/seed-{seed}/model.safetensors")
    song = music / "a/low.wav"
    alone = [earmark.load(tmp_path / f"both/seed-{seed}").predict(song).probabilities for seed in (1, 2)]
    both = earmark.load(tmp_path / "both").predict(song)
    assert not np.allclose(*alone)
    np.testing.assert_allclose(both.probabilities, np.mean(alone, axis=0))
    np.testing.assert_allclose(both.thresholds, (saved.decisive + 0.1) / 2)
