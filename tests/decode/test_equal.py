"""The same audio under two names is counted and named: equal files, and equal samples in files of other bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from helpers.music import tone, write_mp3

from earmark.config import WaveformConfig
from earmark.corpus.manifest import Clip
from earmark.decode import equal
from earmark.decode.corpus import decode_corpus
from earmark.decode.index import Index

CONFIG = WaveformConfig(samples=16_000, max_rejected=0.5)
SPLITS = {"a": "train", "b": "valid", "c": "test"}
ID3 = b"ID3\x03\x00\x00\x00\x00\x00\x0a" + bytes(10)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """A file and its copy in another split; a wave as WAV and FLAC; an MP3 and the same behind a tag; two silences."""
    folder = tmp_path / "audio"
    for number, name in enumerate(("a/one.wav", "a/two.wav", "b/three.wav")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        sf.write(folder / name, tone(1, 300 + 50 * number), 16_000)
    (folder / "c").mkdir()
    shutil.copy(folder / "a/one.wav", folder / "c/one.wav")
    sf.write(folder / "b/two.flac", sf.read(folder / "a/two.wav", dtype="int16")[0], 16_000)
    mp3 = write_mp3(folder / "b/four.mp3", tone(1, 600)).read_bytes()
    (folder / "b/four-tagged.mp3").write_bytes(ID3 + mp3)
    for name in ("a/silent.wav", "c/silent.flac"):
        sf.write(folder / name, np.zeros(16_000), 16_000)
    for name in ("a/empty.wav", "c/empty.wav"):
        (folder / name).touch()
    return folder


def clips(audio: Path) -> list[Clip]:
    paths = sorted(path.relative_to(audio).as_posix() for path in audio.rglob("*.*"))
    return [Clip(path, path, path[0], path, path, SPLITS[path[0]]) for path in paths]


EXPECTED = {
    "equal_files": 2, "equal_files_groups": 1, "equal_files_groups_across_splits": 1,
    "equal_audio": 6, "equal_audio_groups": 3, "equal_audio_groups_across_splits": 2,
}  # fmt: skip


def decoded(audio: Path, out: Path) -> tuple[dict[str, int], int]:
    counts = decode_corpus(clips(audio), audio, 16_000, CONFIG, out)
    return {key: counts[key] for key in EXPECTED}, counts["computed"]


def test_equal_files_and_equal_audio_are_counted_and_named_with_their_splits(audio, tmp_path, capsys):
    assert decoded(audio, tmp_path / "out") == (EXPECTED, 11)
    told = [line for line in capsys.readouterr().err.splitlines() if "equal" in line]
    assert told == [
        "warning: decode 16000 Hz: equal files: 2 in 1 groups, 1 of them across splits: "
        "a/one.wav (train) = c/one.wav (test)",
        "warning: decode 16000 Hz: equal audio in files of other bytes: 4 in 2 groups, 1 of them across splits: "
        "a/two.wav (train) = b/two.flac (valid); b/four-tagged.mp3 (valid) = b/four.mp3 (valid)",
    ]


def test_the_counts_are_the_same_where_nothing_is_decoded_again(audio, tmp_path):
    first, _ = decoded(audio, tmp_path / "out")
    assert decoded(audio, tmp_path / "out") == (first, 0), "told by the index"
    (tmp_path / "out/index.json").unlink()
    assert decoded(audio, tmp_path / "out") == (first, 0), "told by the store"


def test_a_corpus_without_equals_says_nothing(audio, tmp_path, capsys):
    few = [clip for clip in clips(audio) if clip.path in ("a/one.wav", "a/two.wav", "b/three.wav")]
    counts = decode_corpus(few, audio, 16_000, CONFIG, tmp_path / "out")
    assert not any(counts[key] for key in EXPECTED)
    assert "equal" not in capsys.readouterr().err


def test_the_index_has_a_short_digest_a_clip(audio, tmp_path):
    decoded(audio, tmp_path / "out")
    entry = Index.read(tmp_path / "out").shards["a"]
    assert len(entry.sounds) == equal.DIGITS * 4
    sounds = dict(zip(sorted(p.name for p in (audio / "a").iterdir()), entry.each_sound(), strict=True))
    assert sounds["silent.wav"] == sounds["empty.wav"] == equal.UNKNOWN
    assert sounds["one.wav"] != sounds["two.wav"]


def test_only_files_that_look_alike_are_read_whole(audio, monkeypatch):
    read = []
    whole = equal.digest
    monkeypatch.setattr(equal, "digest", lambda path: read.append(path.name) or whole(path))
    absent = Clip("gone", "a/gone.wav", "a", "gone", "gone", "train")
    (group,) = equal.equal_files([*clips(audio), absent], audio, 2)
    assert [clip.path for clip in group] == ["a/one.wav", "c/one.wav"]
    assert read == ["one.wav", "one.wav"]


def test_a_file_that_differs_outside_of_the_piece_that_is_looked_at_first_is_another_one(audio):
    content = bytearray((audio / "c/one.wav").read_bytes())
    content[100] ^= 1
    (audio / "c/one.wav").write_bytes(content)
    assert equal.equal_files(clips(audio), audio, 1) == []


def test_long_lists_are_cut():
    many = [
        Clip(f"{i}", f"a/{i // 2}-{i % 2}.wav", "a", "s", "s", ("train", "test")[i % 2 * (i > 12)]) for i in range(16)
    ]
    found = equal.groups(many, [f"mark {i // 2}" for i in range(16)])
    told = equal.described(found)
    assert told.startswith("16 in 8 groups, 2 of them across splits: a/6-0.wav (train) = a/6-1.wav (test); ")
    assert told.endswith("; and 3 more groups")
    assert "a/5-0.wav" not in equal.described([[*many[:8]]])
    assert equal.described([many[:8]]).endswith(" = 3 more")
