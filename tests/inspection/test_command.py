"""What `earmark inspect` prints of files and of clips of the corpus."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
import yaml
from helpers import ROOT
from helpers.music import tone, write_songs
from helpers.small_data import fill

from earmark.cli import main
from earmark.inspection import clip, picture


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filled")
    return fill(folder, *write_songs(folder, 6, 2.0))


def test_the_file_and_every_representation_are_shown_and_a_broken_one_ends_nothing(tmp_path, capsys):
    (tmp_path / "broken.mp3").write_bytes(b"")
    sf.write(tmp_path / "x.wav", tone(3, 440, 8000), 8000)
    files = [str(tmp_path / "broken.mp3"), str(tmp_path / "x.wav")]
    assert main(["inspect", "--params", str(ROOT / "params.yaml"), *files]) == 1
    shown = capsys.readouterr()
    assert "3.00 s, 8000 Hz, 1 channels, WAV" in shown.out
    assert "1813 frames x 96 dims" in shown.out
    assert "114 frames x 433 dims" in shown.out
    assert "broken.mp3" in shown.err


def inspect(place, *words):
    return main(["inspect", "--params", str(place.params), "--data", str(place.data), *map(str, words)])


def first_clip(place):
    return (place.data / "corpus/manifest.csv").read_text().splitlines()[1].split(",")[0]


def test_a_clip_of_the_corpus_is_shown_from_its_shards(place, capsys):
    clip = first_clip(place)
    assert inspect(place, "--clip", clip) == 0
    about, wave, mel = capsys.readouterr().out.splitlines()
    assert about.startswith(f"clip {clip}: ")
    assert "tags: " in about
    assert wave.split() == ["16000", "Hz", "1", "x", "1.88", "s,", "peak", wave.split()[-1]]
    assert float(wave.split()[-1]) > 0
    assert mel.startswith("  mel          110 frames x 24 dims, ")


def test_what_a_clip_lacks_is_said_and_the_rest_is_shown(place, capsys):
    folder = place.data / "features/mel"
    hidden = folder.rename(folder.with_name("hidden"))
    try:
        assert inspect(place, "--clip", first_clip(place)) == 1
    finally:
        hidden.rename(folder)
    shown = capsys.readouterr().out
    assert "16000 Hz     1 x 1.88 s" in shown
    assert "mel          not there: " in shown


def test_a_clip_that_the_manifest_lacks_is_told_with_its_neighbour(place, capsys):
    wrong = first_clip(place) + "0"
    with pytest.raises(SystemExit):
        inspect(place, "--clip", wrong)
    told = capsys.readouterr().err
    assert f"has no clip '{wrong}'" in told
    assert "12 clips" in told


@pytest.mark.parametrize("words", [(), ("x.wav", "--clip", "1")])
def test_a_file_or_a_clip_must_be_named(place, capsys, words):
    with pytest.raises(SystemExit):
        inspect(place, *words)
    assert (
        "name an audio file or a folder, or a clip of the corpus by --clip ID, and not both" in capsys.readouterr().err
    )


def test_one_picture_is_of_one_file(place, tmp_path, capsys):
    for name in ("a.wav", "b.wav"):
        sf.write(tmp_path / name, tone(1, 440), 16_000)
    with pytest.raises(SystemExit):
        inspect(place, tmp_path, "--plot", tmp_path / "x.png")
    assert "is a picture of one file, got 2" in capsys.readouterr().err
    assert inspect(place, tmp_path / "a.wav", "--plot", tmp_path / "new/x.png") == 0
    assert (tmp_path / "new/x.png").stat().st_size > 10_000
    assert f"drawn in {tmp_path / 'new/x.png'}" in capsys.readouterr().out


def test_a_clip_is_drawn_from_its_shard_without_its_file(place, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(picture, "_outline", lambda _, wave, rate: drawn.append((wave, rate)))
    hidden = place.audio.rename(place.audio.with_name("hidden"))
    try:
        assert inspect(place, "--clip", first_clip(place), "--plot", tmp_path / "clip.png") == 0
    finally:
        hidden.rename(place.audio)
    assert (tmp_path / "clip.png").is_file()
    ((wave, rate),) = drawn
    assert rate == 16_000
    assert np.array_equal(wave, clip.held(place.config, place.data, first_clip(place)).waves[rate][0])
    assert np.abs(wave).max() > 0.01


def test_of_two_rates_what_hears_the_one_that_is_held_is_drawn(place, tmp_path, capsys):
    other = tmp_path / "params.yaml"
    content = yaml.safe_load(place.params.read_text())
    content["waveforms"] = {"8000": {"samples": 15_000}} | content["waveforms"]
    other.write_text(yaml.safe_dump(content, sort_keys=False))
    command = ["inspect", "--params", str(other), "--data", str(place.data), "--clip", first_clip(place)]
    assert main([*command, "--plot", str(tmp_path / "clip.png")]) == 1
    told = capsys.readouterr().out
    assert "8000 Hz      not there: " in told
    assert "cqt          not drawn: it hears the wave at 8000 Hz" in told
    assert (tmp_path / "clip.png").is_file()


def test_without_a_wave_nothing_is_drawn_and_the_reason_is_told(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EARMARK_WAVEFORMS", str(tmp_path / "nothing"))
    with pytest.raises(SystemExit):
        inspect(place, "--clip", first_clip(place), "--plot", tmp_path / "clip.png")
    assert "cannot be drawn: " in capsys.readouterr().err
    assert not (tmp_path / "clip.png").exists()
