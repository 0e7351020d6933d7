"""One recording under two names in two splits is found, and nothing else is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import soundfile as sf
from helpers.clones import six_songs
from helpers.small_data import fill

from earmark.cli import main
from earmark.corpus.manifest import Clip
from earmark.embeddings import duplicates
from earmark.embeddings.corpus import clips_of


def melody(seed, seconds=2.0, rate=16_000):
    """Eight notes of a timbre, in noise of a colour: no two seeds sound alike."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    notes = rng.choice(110 * 2 ** (np.arange(36) / 12), 8)
    pitch = np.repeat(notes, -(-len(t) // 8))[: len(t)]
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    partials = rng.uniform(0, 1, 8) ** 2
    sound = sum(level * np.sin((k + 1) * phase) for k, level in enumerate(partials))
    noise = np.convolve(rng.normal(size=len(t)), rng.normal(size=16), "same")
    return (0.05 * sound + 10 ** rng.uniform(-4, -2) * noise).astype(np.float32)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Twelve clips of six songs; a clip of the test split is one of the training split, encoded as Ogg Vorbis."""
    folder = tmp_path_factory.mktemp("songs")
    six_songs(folder)
    audio = folder / "audio"
    for number, path in enumerate(sorted(audio.rglob("*.mp3"))):
        sf.write(path, melody(number), 16_000, format="MP3")
    trained, tested = sorted(audio.glob("0/*.mp3"))[0], sorted(audio.glob("d/*.mp3"))[0]
    sf.write(tested, sf.read(trained, dtype="float32")[0], 16_000, format="OGG")
    return fill(folder, audio, folder / "annotations_final.csv")


def arguments(place, data=None):
    return ["corpus", "check", "--params", str(place.params), "--data", str(data or place.data)]


def test_a_recording_in_two_splits_is_a_warning_and_no_error(place, capsys):
    assert main([*arguments(place), "--deep"]) == 0
    warning, pair = capsys.readouterr().out.splitlines()[-2:]
    assert warning.startswith("warning: near-duplicates across splits, by mel: 1 (")
    share, first, split, equals, second, other = pair.split()
    assert 0 < float(share) < duplicates.SUSPECT
    assert (first[0], split, equals, second[0], other) == ("0", "(train)", "=", "d", "(test)")
    main(arguments(place))
    assert "near-duplicates" not in capsys.readouterr().out
    clips = clips_of(place.data)
    vectors = duplicates.described(place.data / "features/mel", clips)
    same = [dataclasses.replace(clip, song="one") for clip in clips]
    assert duplicates.near_duplicates(clips, vectors)
    assert not duplicates.near_duplicates(same, vectors)
    assert not duplicates.near_duplicates([dataclasses.replace(clip, split="train") for clip in clips], vectors)


def test_without_features_the_command_is_named_that_makes_them(place, capsys, tmp_path):
    assert main([*arguments(place, tmp_path), "--deep"]) == 0
    assert "near-duplicates: " in (line := capsys.readouterr().out.splitlines()[-1])
    assert "dvc repro features@mel" in line


def test_no_features_and_no_clips_are_no_pairs():
    clips = [Clip("1", "a", "0", "a", "a", "train"), Clip("2", "b", "0", "b", "b", "test")]
    assert duplicates.near_duplicates([], {}) == []
    assert duplicates.near_duplicates(clips, {}) == []
    constant = {"1": np.ones(4, np.float32), "2": np.ones(4, np.float32)}
    assert duplicates.near_duplicates(clips, constant) == []  # nothing tells clips of this corpus apart
