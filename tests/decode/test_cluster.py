"""Music decoded by the workers of a cluster: the same waveforms, and what is said if they do not see the music."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

import pytest
from helpers.dask_processes import Processes

from earmark.config import WaveformConfig
from earmark.corpus.kinds.magnatagatune import read
from earmark.decode import cluster
from earmark.decode.corpus import decode_corpus
from earmark.decode.index import Entry, Index
from earmark.decode.waveforms import Waveforms
from earmark.errors import EarmarkError
from earmark.storage.sealed_json import sealed

CONFIG = WaveformConfig(samples=24_000, max_rejected=0.5)
ENTRY = Entry("f" * 64, 3, {"segments": 3}, [], {"soxr": "1"})
LOGGED = """
from earmark.decode.corpus import WaveformShard
if not hasattr(WaveformShard, "original"):  # Dask runs this more than once
    WaveformShard.original = WaveformShard.write
def write(self, *arguments):
    print("decodes", self.name, flush=True)
    return self.original(*arguments)
WaveformShard.write = write
"""


def test_workers_write_what_this_process_writes_and_a_changed_clip_costs_its_shard(
    make_corpus, tmp_path, processes: Processes, monkeypatch
):
    audio, annotations = make_corpus()
    min((audio / "0").glob("*.mp3")).write_bytes(b"no music")
    clips = read(audio, annotations)[0]

    def run(name: str) -> dict[str, int]:
        return decode_corpus(clips, audio, 16_000, CONFIG, tmp_path / name / "waves")

    here = run("here")
    monkeypatch.setenv("EARMARK_CLUSTER", processes.address)
    worker = processes.worker(preload=LOGGED)
    assert run("there") == here
    for name in ("index.json", "rejected.csv"):
        assert (tmp_path / "there/waves" / name).read_bytes() == (tmp_path / "here/waves" / name).read_bytes()
    for shard in Index.read(tmp_path / "there/waves").shards:
        one, other = (Waveforms(tmp_path / name / "waves", clips, audio).path(shard) for name in ("here", "there"))
        assert one != other
        assert one.read_bytes() == other.read_bytes()
    assert run("there")["computed"] == 0
    next((audio / "c").glob("*-0-29.mp3")).write_bytes(b"")
    assert run("there")["computed"] == 2
    assert sorted(re.findall(r"decodes (\w)", worker.log.read_text())) == ["0", "1", "c", "c", "d"]
    Waveforms(tmp_path / "there/waves", clips, audio).path("d").unlink()
    wave = Waveforms(tmp_path / "there/waves", clips, audio).ready("cd", tmp_path, processes.address)["d"]
    assert wave.is_file()
    assert worker.log.read_text().count("decodes d") == 2


def test_music_that_a_worker_does_not_see_is_named(make_corpus, tmp_path, monkeypatch):
    audio, annotations = make_corpus()
    clips = {"c": [clip for clip in read(audio, annotations)[0] if clip.shard == "c"]}
    with pytest.raises(EarmarkError, match=r"/absent is not there: the workers read the music from a folder that all"):
        cluster._read(str, tmp_path / "absent", ("c", ["x.mp3"]))

    def not_shared(*_, **__):
        yield ("c", [clip.path for clip in clips["c"]]), (cluster.ABSENT,) * 2

    monkeypatch.setattr(cluster, "run", not_shared)
    with pytest.raises(EarmarkError, match=r"/c/.*mp3 is here, but not on a worker of tcp://x: all must share it"):
        cluster.files("tcp://x", audio, clips, str, lambda: ("", ""), lambda _: None)
    (audio / "c").rename(tmp_path / "gone")  # here neither
    found = cluster.files("tcp://x", audio, clips, str, lambda: ("", ""), lambda _: None)
    assert found == {"c": (cluster.ABSENT,) * 2}


@pytest.mark.parametrize(
    ("what", "change"),
    {
        "another count": lambda text: text.replace(b'"rows": 3', b'"rows": 4'),
        "cut": lambda text: text[:-20],
        "of another shard": lambda _: sealed(asdict(replace(ENTRY, fingerprint="e" * 64))).encode(),
        "nothing": lambda _: b"",
    }.items(),
)
def test_what_a_store_says_of_a_shard_is_believed_only_if_it_is_what_was_written(tmp_path, monkeypatch, what, change):
    monkeypatch.setenv("EARMARK_STORE", tmp_path.as_uri())
    folder = tmp_path / "waveforms"
    folder.mkdir()
    (folder / f"{ENTRY.fingerprint}.h5").touch()
    told = folder / f"{ENTRY.fingerprint}.json"
    told.write_text(sealed(asdict(ENTRY)))
    assert cluster.recall(ENTRY.fingerprint) == ENTRY
    assert change(told.read_bytes()) != told.read_bytes(), what
    told.write_bytes(change(told.read_bytes()))
    assert cluster.recall(ENTRY.fingerprint) is None
