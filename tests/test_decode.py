from __future__ import annotations

import csv

import numpy as np
import pytest
from conftest import tone, write_mp3

from earmark.config import WaveformConfig
from earmark.corpora.magnatagatune import read
from earmark.decode import decode_corpus
from earmark.manifest import CorpusError
from earmark.shards import clip_ids, open_shard

CONFIG = WaveformConfig(samples=24_000, max_rejected=0.2)


def run(corpus, out, config=CONFIG):
    audio, annotations = corpus
    return decode_corpus(read(audio, annotations)[0], audio, 16_000, config, out)


def modified(folder):
    return {p.name: p.stat().st_mtime_ns for p in folder.glob("*.h5")}


def test_every_clip_is_in_the_shard_of_its_folder(make_corpus, tmp_path):
    counts = run(make_corpus(), tmp_path / "out")
    found = {"segments": 12, "padded": 0, "silent": 0, "clipped": 0}
    assert counts == {"clips": 12, "rejected": 0, "rejected_as_known": 0, **found, "computed": 12}
    assert clip_ids(tmp_path / "out" / "0.h5") == ["10", "11", "18", "19"]
    with open_shard(tmp_path / "out" / "c.h5") as file:
        assert file["waveform"].shape == (2, 24_000)
        assert file["waveform"].dtype == np.int16


def test_int16_and_float32_hold_the_same_wave_to_half_a_step(make_corpus, tmp_path):
    corpus = make_corpus()
    run(corpus, tmp_path / "a")
    run(corpus, tmp_path / "b", WaveformConfig(samples=24_000, dtype="float32"))
    with open_shard(tmp_path / "a" / "0.h5") as a, open_shard(tmp_path / "b" / "0.h5") as b:
        np.testing.assert_allclose(a["waveform"][:] / 32768, b["waveform"][:], atol=0.5001 / 32768)


def test_a_second_run_decodes_nothing_and_a_changed_clip_its_shard_alone(make_corpus, tmp_path):
    corpus = make_corpus()
    run(corpus, tmp_path / "out")
    before = modified(tmp_path / "out")
    assert run(corpus, tmp_path / "out")["computed"] == 0
    assert modified(tmp_path / "out") == before
    write_mp3(next((corpus[0] / "c").glob("*-0-29.mp3")), tone(2, 777))
    assert run(corpus, tmp_path / "out")["computed"] == 2
    assert {k for k, v in modified(tmp_path / "out").items() if v != before[k]} == {"c.h5"}


def test_two_runs_give_the_same_bytes_with_any_number_of_workers(make_corpus, tmp_path, monkeypatch):
    corpus = make_corpus()
    run(corpus, tmp_path / "a")
    monkeypatch.setenv("EARMARK_WORKERS", "5")
    run(corpus, tmp_path / "b")
    for shard in "01cd":
        assert (tmp_path / "a" / f"{shard}.h5").read_bytes() == (tmp_path / "b" / f"{shard}.h5").read_bytes()


def test_rejects_are_listed_counted_and_remembered(make_corpus, tmp_path):
    corpus = make_corpus()
    first, second = sorted((corpus[0] / "0").glob("*.mp3"))[:2]
    first.write_bytes(b"")
    second.unlink()
    counts = run(corpus, tmp_path / "out")
    assert (counts["clips"], counts["rejected"]) == (10, 2)
    assert clip_ids(tmp_path / "out" / "0.h5") == ["18", "19"]

    def rows():
        with (tmp_path / "out" / "rejected.csv").open(newline="") as file:
            return list(csv.reader(file))

    listed = rows()
    assert listed[0] == ["clip_id", "path", "reason"]
    assert [row[2] for row in listed[1:]] == ["empty file (0 bytes)", "no such file"]
    again = run(corpus, tmp_path / "out")
    assert (again["rejected"], again["computed"]) == (2, 0)
    assert rows() == listed


def test_too_many_rejects_stop_the_stage_and_say_why(make_corpus, tmp_path):
    corpus = make_corpus()
    for path in (corpus[0] / "0").glob("*.mp3"):
        path.write_bytes(b"")
    message = r"waveforms\.16000\.max_rejected=0\.2 of 12 clips, got 4 rejected: 4 x empty file"
    with pytest.raises(CorpusError, match=message):
        run(corpus, tmp_path / "out")
    assert (tmp_path / "out" / "rejected.csv").is_file()


def test_short_clips_are_padded_and_counted(make_corpus, tmp_path):
    counts = run(make_corpus(seconds=1.2), tmp_path / "out")
    assert (counts["clips"], counts["padded"]) == (12, 12)


def test_the_shard_of_a_folder_that_is_gone_is_removed(make_corpus, tmp_path):
    audio, annotations = make_corpus()
    clips = read(audio, annotations)[0]
    decode_corpus(clips, audio, 16_000, CONFIG, tmp_path / "out")
    decode_corpus([c for c in clips if c.shard != "d"], audio, 16_000, CONFIG, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").glob("*.h5")) == ["0.h5", "1.h5", "c.h5"]


def test_songs_of_any_length_become_segments_that_carry_the_songs_id(make_corpus, tmp_path):
    audio, annotations = make_corpus()
    write_mp3(next((audio / "c").glob("*-0-29.mp3")), tone(5, 300))
    config = WaveformConfig(samples=16_000, policy="segments")
    counts = run((audio, annotations), tmp_path / "out", config)
    assert (counts["clips"], counts["segments"]) == (12, 11 * 2 + 5)
    assert clip_ids(tmp_path / "out" / "c.h5") == ["14"] * 5 + ["15"] * 2
    with open_shard(tmp_path / "out" / "c.h5") as file:
        assert file["waveform"].shape == (7, 16_000)
        assert file["waveform"].chunks is None
    assert run((audio, annotations), tmp_path / "out", config) == counts | {"computed": 0}
    three = WaveformConfig(samples=16_000, policy="segments", segments=3)
    assert run((audio, annotations), tmp_path / "three", three)["segments"] == 36


def test_a_reject_is_a_warning_with_its_reason_unless_it_is_a_known_broken_file(
    make_corpus, tmp_path, monkeypatch, capsys
):
    corpus = make_corpus()
    first, second = sorted((corpus[0] / "0").glob("*.mp3"))[:2]
    first.write_bytes(b"")
    second.unlink()
    monkeypatch.setattr("earmark.decode.BROKEN", {f"0/{first.name}"})
    counts = run(corpus, tmp_path / "out")
    assert (counts["rejected"], counts["rejected_as_known"]) == (2, 1)
    warned = capsys.readouterr().err
    assert warned.count("warning: ") == 1
    assert f"(0/{second.name}) is rejected: no such file" in warned
