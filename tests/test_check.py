"""A corpus is looked at before the pipeline runs."""

from __future__ import annotations

import yaml
from conftest import tone, write_mp3
from small_data import fill

from earmark.cli import main


def test_a_sound_corpus_is_described_and_nothing_stops(tmp_path, make_corpus, capsys):
    place = fill(tmp_path, *make_corpus())
    assert main(["corpus", "check", "--params", str(place.params)]) == 0
    shown = capsys.readouterr().out
    assert "12 of 6 songs by 6 artists" in shown
    assert "16000 Hz (12)" in shown
    assert "3, 3 after merging, 3 are learnt" in shown
    assert "stops the pipeline" not in shown


def test_what_would_stop_the_pipeline_is_said_with_exit_code_1(tmp_path, make_corpus, capsys):
    place = fill(tmp_path, *make_corpus())
    files = sorted(place.audio.glob("0/*.mp3"))
    files[0].write_bytes(b"")
    files[1].write_bytes(b"no music at all")
    files[2].unlink()
    write_mp3(files[3], tone(0.3, 440))
    assert main(["corpus", "check", "--params", str(place.params)]) == 1
    shown = capsys.readouterr().out
    for reason in ("empty file (0 bytes) (1)", "not decodable", "no such file (1)", "1 below 1 s"):
        assert reason in shown
    assert "stops the pipeline: waveforms.16000.max_rejected=0.02 of 12 clips, got 4 rejected" in shown


def test_labels_that_cannot_be_made_are_found(tmp_path, make_corpus, capsys):
    place = fill(tmp_path, *make_corpus())
    (tmp_path / "groups.yaml").write_text("- [high, hihg]")
    content = yaml.safe_load(place.params.read_text())
    content["labels"]["synonyms"] = str(tmp_path / "groups.yaml")
    place.params.write_text(yaml.safe_dump(content))
    assert main(["corpus", "check", "--params", str(place.params)]) == 1
    assert "'hihg' of the group" in capsys.readouterr().out
    content["corpus"]["audio"] = str(tmp_path / "nowhere")
    place.params.write_text(yaml.safe_dump(content))
    assert main(["corpus", "check", "--params", str(place.params)]) == 1
    assert "holds no folder with MP3 files" in capsys.readouterr().out
