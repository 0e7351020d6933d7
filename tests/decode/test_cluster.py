"""Music decoded by the workers of a cluster: the same waveforms, and what is said if they do not see the music."""

from __future__ import annotations

import re

import pytest
from helpers.dask_processes import Processes

from earmark.config import WaveformConfig
from earmark.corpus.kinds.magnatagatune import read
from earmark.decode import cluster
from earmark.decode.corpus import decode_corpus
from earmark.decode.index import Index
from earmark.decode.waveforms import Waveforms
from earmark.errors import EarmarkError

CONFIG = WaveformConfig(samples=24_000, max_rejected=0.5)
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
