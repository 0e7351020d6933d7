"""A manifest becomes waveform shards: what is decoded again and what is not, what is counted and what is rejected."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import bad_decoders
from helpers.music import tone, write_mp3

from earmark.config import WaveformConfig
from earmark.corpus.kinds.magnatagatune import read
from earmark.corpus.manifest import Clip, CorpusError
from earmark.decode import pool
from earmark.decode.corpus import WaveformShard, decode_corpus
from earmark.decode.index import Index
from earmark.decode.waveforms import Waveforms
from earmark.errors import EarmarkError
from earmark.storage.shards import ShardError, attribute, clip_ids, open_shard

CONFIG = WaveformConfig(samples=24_000, max_rejected=0.2)


def run(corpus, out, config=CONFIG, expected=()):
    audio, annotations = corpus
    return decode_corpus(read(audio, annotations)[0], audio, 16_000, config, out, expected)


def place(out, shard):
    return Waveforms(out, [], out).path(shard)


def modified(out):
    return {shard: place(out, shard).stat().st_mtime_ns for shard in Index.read(out).shards}


def decoded_by(monkeypatch, **versions):
    monkeypatch.setattr("earmark.decode.corpus.makers", lambda: versions)


def test_every_clip_is_in_the_shard_of_its_folder(make_corpus, tmp_path):
    counts = run(make_corpus(), tmp_path / "out")
    found = {"segments": 12, "padded": 0, "silent": 0, "clipped": 0, "incomplete": 0}
    equal = {
        f"equal_{what}{rest}": 0 for what in ("files", "audio") for rest in ("", "_groups", "_groups_across_splits")
    }
    assert counts == {"clips": 12, "rejected": 0, "rejected_as_known": 0, **found, **equal, "computed": 12}
    assert clip_ids(place(tmp_path / "out", "0")) == ["10", "11", "18", "19"]
    with open_shard(place(tmp_path / "out", "c")) as file:
        assert file["waveform"].shape == (2, 24_000)
        assert file["waveform"].dtype == np.int16


def test_int16_and_float32_hold_the_same_wave_to_half_a_step(make_corpus, tmp_path):
    corpus = make_corpus()
    run(corpus, tmp_path / "a")
    run(corpus, tmp_path / "b", WaveformConfig(samples=24_000, dtype="float32"))
    with open_shard(place(tmp_path / "a", "0")) as a, open_shard(place(tmp_path / "b", "0")) as b:
        np.testing.assert_allclose(a["waveform"][:] / 32768, b["waveform"][:], atol=0.5001 / 32768)


def test_a_second_run_decodes_nothing_and_a_changed_clip_its_shard_alone(make_corpus, tmp_path):
    corpus = make_corpus()
    run(corpus, tmp_path / "out")
    before = modified(tmp_path / "out")
    assert run(corpus, tmp_path / "out")["computed"] == 0
    assert modified(tmp_path / "out") == before
    write_mp3(next((corpus[0] / "c").glob("*-0-29.mp3")), tone(2, 777))
    assert run(corpus, tmp_path / "out")["computed"] == 2
    assert {k for k, v in modified(tmp_path / "out").items() if v != before[k]} == {"c"}


def test_two_runs_give_the_same_bytes_with_any_number_of_workers(make_corpus, tmp_path, monkeypatch):
    corpus = make_corpus()
    run(corpus, tmp_path / "a" / "16000")
    monkeypatch.setenv("EARMARK_WORKERS", "5")
    assert run(corpus, tmp_path / "b" / "16000")["computed"] == 12
    for shard in "01cd":
        one, other = (place(tmp_path / name / "16000", shard) for name in "ab")
        assert one != other
        assert one.read_bytes() == other.read_bytes()
    one, other = ((tmp_path / name / "16000/index.json").read_bytes() for name in "ab")
    assert one == other


def test_rejects_are_listed_counted_and_remembered(make_corpus, tmp_path):
    corpus = make_corpus()
    first, second = sorted((corpus[0] / "0").glob("*.mp3"))[:2]
    first.write_bytes(b"")
    second.unlink()
    counts = run(corpus, tmp_path / "out")
    assert (counts["clips"], counts["rejected"]) == (10, 2)
    assert clip_ids(place(tmp_path / "out", "0")) == ["18", "19"]

    def rows():
        with (tmp_path / "out" / "rejected.csv").open(newline="") as file:
            return list(csv.reader(file))

    listed = rows()
    assert listed[0] == ["clip_id", "path", "reason"]
    assert [row[2] for row in listed[1:]] == ["empty file (0 bytes)", "no such file"]
    again = run(corpus, tmp_path / "out")
    assert (again["rejected"], again["computed"]) == (2, 0)
    assert rows() == listed


def test_incomplete_clips_are_listed_counted_and_told_or_else_rejected(make_corpus, tmp_path, capsys):
    corpus = make_corpus()
    first = min((corpus[0] / "0").glob("*.mp3"))
    first.write_bytes(first.read_bytes()[: first.stat().st_size * 2 // 3])
    counts = run(corpus, tmp_path / "out")
    assert (counts["clips"], counts["rejected"], counts["incomplete"]) == (12, 0, 1)
    reason = r"ends at 1\.\d s, within a frame: the file is cut off"
    listed = (tmp_path / "out" / "incomplete.csv").read_text()
    assert re.search(rf"^10,0/{first.name},\"{reason}\"\n", listed, re.M)
    assert re.search(
        rf"warning: decode 16000 Hz: clip 10 \(0/{first.name}\) is incomplete: {reason}", capsys.readouterr().err
    )
    assert run(corpus, tmp_path / "out") == counts | {"computed": 0}
    assert (tmp_path / "out" / "incomplete.csv").read_text() == listed
    strict = run(corpus, tmp_path / "strict", CONFIG.model_copy(update={"incomplete": "reject"}))
    assert (strict["clips"], strict["rejected"], strict["incomplete"]) == (11, 1, 0)
    assert "incomplete: ends at 1." in (tmp_path / "strict" / "rejected.csv").read_text()


def test_too_many_rejects_stop_the_stage_and_say_why(make_corpus, tmp_path):
    corpus = make_corpus()
    for path in (corpus[0] / "0").glob("*.mp3"):
        path.write_bytes(b"")
    message = r"waveforms\.16000\.max_rejected=0\.2 of 12 clips, got 4 rejected: 4 x empty file"
    with pytest.raises(CorpusError, match=message):
        run(corpus, tmp_path / "out")
    assert (tmp_path / "out" / "rejected.csv").is_file()
    assert not (tmp_path / "out" / "index.json").exists()


def test_short_clips_are_padded_and_counted(make_corpus, tmp_path):
    counts = run(make_corpus(seconds=1.2), tmp_path / "out")
    assert (counts["clips"], counts["padded"]) == (12, 12)


def test_the_shard_of_a_folder_that_is_gone_is_named_no_more(make_corpus, tmp_path):
    audio, annotations = make_corpus()
    clips = read(audio, annotations)[0]
    decode_corpus(clips, audio, 16_000, CONFIG, tmp_path / "out")
    decode_corpus([c for c in clips if c.shard != "d"], audio, 16_000, CONFIG, tmp_path / "out")
    assert sorted(Index.read(tmp_path / "out").shards) == ["0", "1", "c"]


def test_songs_of_any_length_become_segments_that_carry_the_songs_id(make_corpus, tmp_path):
    audio, annotations = make_corpus()
    write_mp3(next((audio / "c").glob("*-0-29.mp3")), tone(5, 300))
    config = WaveformConfig(samples=16_000, policy="segments")
    counts = run((audio, annotations), tmp_path / "out", config)
    assert (counts["clips"], counts["segments"]) == (12, 11 * 2 + 5)
    assert Index.read(tmp_path / "out").shards["c"].rows == 7
    assert clip_ids(place(tmp_path / "out", "c")) == ["14"] * 5 + ["15"] * 2
    with open_shard(place(tmp_path / "out", "c")) as file:
        assert file["waveform"].shape == (7, 16_000)
        assert file["waveform"].chunks is None
    assert run((audio, annotations), tmp_path / "out", config) == counts | {"computed": 0}
    three = WaveformConfig(samples=16_000, policy="segments", segments=3)
    assert run((audio, annotations), tmp_path / "three", three)["segments"] == 36


def test_a_reject_is_a_warning_with_its_reason_unless_it_is_a_known_broken_file(make_corpus, tmp_path, capsys):
    corpus = make_corpus()
    first, second = sorted((corpus[0] / "0").glob("*.mp3"))[:2]
    first.write_bytes(b"")
    second.unlink()
    counts = run(corpus, tmp_path / "out", expected={f"0/{first.name}"})
    assert (counts["rejected"], counts["rejected_as_known"]) == (2, 1)
    warned = capsys.readouterr().err
    assert warned.count("warning: decode") == 1
    assert f"(0/{second.name}) is rejected: no such file" in warned


def test_waveforms_that_were_deleted_are_not_decoded_again_for_the_index(make_corpus, tmp_path):
    corpus = make_corpus()
    counts = run(corpus, tmp_path / "out")
    index = (tmp_path / "out/index.json").read_bytes()
    shutil.rmtree(tmp_path / ".earmark-waveforms")
    assert run(corpus, tmp_path / "out") == counts | {"computed": 0}
    assert (tmp_path / "out/index.json").read_bytes() == index
    assert not (tmp_path / ".earmark-waveforms").exists()


def test_another_working_copy_decodes_nothing_that_the_store_has(make_corpus, tmp_path, monkeypatch):
    corpus = make_corpus()
    monkeypatch.setenv("EARMARK_WAVEFORMS", str(tmp_path / "store"))
    counts = run(corpus, tmp_path / "a/16000")
    assert run(corpus, tmp_path / "b/16000") == counts | {"computed": 0}
    one, other = ((tmp_path / name / "16000/index.json").read_bytes() for name in "ab")
    assert one == other
    assert len(list((tmp_path / "store").rglob("*.h5"))) == 4


def test_a_run_that_was_stopped_goes_on_after_the_last_finished_shard(make_corpus, tmp_path, monkeypatch):
    corpus, write = make_corpus(), WaveformShard.write

    def stop(shard, *arguments):
        if shard.name == "d":
            raise KeyboardInterrupt
        return write(shard, *arguments)

    monkeypatch.setattr(WaveformShard, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        run(corpus, tmp_path / "out")
    monkeypatch.undo()
    assert run(corpus, tmp_path / "out")["computed"] == 2


def test_shards_that_an_earlier_version_kept_beside_the_index_are_removed(make_corpus, tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("0.h5", ".1.h5.machine-7.tmp"):
        (tmp_path / "out" / name).write_bytes(b"music")
    run(make_corpus(), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "incomplete.csv",
        "index.json",
        "rejected.csv",
    ]


def test_a_damaged_shard_of_the_store_is_decoded_again(make_corpus, tmp_path):
    corpus = make_corpus()
    run(corpus, tmp_path / "out")
    content = place(tmp_path / "out", "d").read_bytes()
    place(tmp_path / "out", "d").write_bytes(b"half a shard")
    assert run(corpus, tmp_path / "elsewhere")["computed"] == 2
    assert place(tmp_path / "out", "d").read_bytes() == content


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": {}, "code": "", "shards": {"0": {"rows": 1}}}'])
def test_an_index_that_cannot_be_read_is_an_error_for_who_reads_and_written_again_by_the_stage(
    make_corpus, tmp_path, content
):
    index = tmp_path / "out/index.json"
    index.parent.mkdir()
    with pytest.raises(ShardError, match=r"index\.json does not exist; run the stage decode"):
        Index.read(tmp_path / "out")
    index.write_text(content)
    with pytest.raises(ShardError, match="is no index of waveforms"):
        Index.read(tmp_path / "out")
    run(make_corpus(), tmp_path / "out")
    assert Index.read(tmp_path / "out").shards


def test_an_update_of_the_decoder_decodes_nothing_until_something_must_be_decoded_and_then_all(
    make_corpus, tmp_path, monkeypatch, capsys
):
    corpus = make_corpus()
    decoded_by(monkeypatch, soxr="1")
    run(corpus, tmp_path / "out")
    index = (tmp_path / "out/index.json").read_bytes()
    decoded_by(monkeypatch, soxr="2")
    assert run(corpus, tmp_path / "out")["computed"] == 0
    assert (tmp_path / "out/index.json").read_bytes() == index
    assert capsys.readouterr().out == ""
    write_mp3(next((corpus[0] / "c").glob("*-0-29.mp3")), tone(2, 777))
    assert run(corpus, tmp_path / "out")["computed"] == 12
    assert capsys.readouterr().out.splitlines() == [
        "decode 16000 Hz: 3 shards of other makers (soxr 1, here 2) must be made again: shards that stand side by side "
        "have the same makers"
    ]
    assert {entry.makers["soxr"] for entry in Index.read(tmp_path / "out").shards.values()} == {"2"}
    with open_shard(place(tmp_path / "out", "0")) as file:
        assert attribute(file, "makers") == {"soxr": "2"}


def test_what_the_update_of_a_decoder_made_again_is_taken_from_the_store_by_another_working_copy(
    make_corpus, tmp_path, monkeypatch
):
    corpus = make_corpus()
    monkeypatch.setenv("EARMARK_WAVEFORMS", str(tmp_path / "store"))
    decoded_by(monkeypatch, soxr="1")
    run(corpus, tmp_path / "a")
    run(corpus, tmp_path / "b")
    decoded_by(monkeypatch, soxr="2")
    write_mp3(next((corpus[0] / "c").glob("*-0-29.mp3")), tone(2, 777))
    assert run(corpus, tmp_path / "a")["computed"] == 12
    assert run(corpus, tmp_path / "b")["computed"] == 0
    assert Index.read(tmp_path / "a") == Index.read(tmp_path / "b")


def test_files_that_end_the_decoder_or_hang_it_cost_themselves_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("earmark.decode.corpus.stored", bad_decoders.by_name)
    decoders = pool.Decoders(seconds=0.2, busy=100)
    monkeypatch.setattr(pool, "shared", lambda: decoders)
    names = ["crash-1", "fine-1", "hang-1", "fine-2", "crash-2", "memory-1", "fine-3"]
    clips = [Clip(name, f"{name}.mp3", "x", name, name, "train") for name in names]
    for clip in clips:
        write_mp3(tmp_path / "audio" / clip.path, tone(1.5, 440))
    found = decode_corpus(
        clips, tmp_path / "audio", 16_000, WaveformConfig(samples=24_000, max_rejected=1), tmp_path / "x"
    )
    decoders.close()
    assert (found["clips"], found["rejected"]) == (3, 4)
    with (tmp_path / "x/rejected.csv").open(newline="") as file:
        rows = {row["clip_id"]: row["reason"] for row in csv.DictReader(file)}
    assert rows["crash-1"] == rows["crash-2"] == "the decoder crashed (SIGSEGV)"
    assert rows["hang-1"] == "the decoder did not end within 0.2 s of computing"
    assert rows["memory-1"].startswith("needs more than")
    assert "clip crash-2 (crash-2.mp3) is rejected: the decoder crashed (SIGSEGV)" in capsys.readouterr().err


def test_a_file_that_may_not_be_read_is_a_reject(make_corpus, tmp_path, monkeypatch):
    corpus = make_corpus()
    shut = next((corpus[0] / "c").glob("*-0-29.mp3"))
    shut.chmod(0)
    monkeypatch.setattr("earmark.decode.corpus.stored", bad_decoders.closed)  # root may read it
    monkeypatch.setattr(Path, "open", refused(Path.open, shut))
    clips = [clip for clip in read(*corpus)[0] if clip.path.endswith(shut.name)]
    assert decode_corpus(clips, corpus[0], 16_000, WaveformConfig(samples=9, max_rejected=1), tmp_path / "out")[
        "rejected"
    ]
    assert "not readable: Permission denied" in (tmp_path / "out/rejected.csv").read_text()


def test_a_disk_that_fails_ends_the_stage_and_rejects_no_clip_for_good(make_corpus, tmp_path, monkeypatch):
    corpus, config = make_corpus(), WaveformConfig(samples=9, max_rejected=1)
    clips = read(*corpus)[0]
    with monkeypatch.context() as patch:
        patch.setattr("earmark.decode.corpus.stored", bad_decoders.lost)
        with pytest.raises(EarmarkError, match=r"artist_.*\.mp3: not readable: Input/output error"):
            decode_corpus(clips, corpus[0], 16_000, config, tmp_path / "out")
    assert decode_corpus(clips, corpus[0], 16_000, config, tmp_path / "out")["rejected"] == 0


def refused(real, shut):
    def open_one(path, *arguments, **more):
        if path == shut:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **more)

    return open_one
