"""A corpus is looked at before the pipeline runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import soundfile
import yaml
from helpers import ROOT
from helpers.music import tone, write_mp3
from helpers.small_data import fill
from helpers.tiny_corpora import Tiny

from earmark.cli import main
from earmark.decode.check import header


def test_a_sound_corpus_is_described_and_nothing_stops(tmp_path, make_corpus, capsys):
    place = fill(tmp_path, *make_corpus())
    assert main(["corpus", "check", "--params", str(place.params)]) == 0
    shown = capsys.readouterr().out
    assert "12 of 6 songs by 6 artists" in shown
    assert "16000 Hz (12)" in shown
    assert "3, 3 after merging, 3 are learnt" in shown
    assert re.search(r"^equal files +none$", shown, re.M)
    assert "stops the pipeline" not in shown


def test_equal_files_are_named_with_their_splits(tmp_path, make_corpus, capsys):
    place = fill(tmp_path, *make_corpus())
    one, other = sorted(place.audio.glob("0/*.mp3"))[0], sorted(place.audio.glob("d/*.mp3"))[0]
    other.write_bytes(one.read_bytes())
    main(["corpus", "check", "--params", str(place.params)])
    told = rf"^equal files +2 in 1 groups, 1 of them across splits: 0/{one.name} \(train\) = d/{other.name} \(test\)$"
    assert re.search(told, capsys.readouterr().out, re.M)


def test_what_would_stop_the_pipeline_is_said_with_exit_code_1(tmp_path, make_corpus, capsys):
    place = fill(tmp_path, *make_corpus())
    files = sorted(place.audio.glob("0/*.mp3"))
    files[0].write_bytes(b"")
    files[1].write_bytes(b"no music at all")
    files[2].unlink()
    write_mp3(files[3], tone(0.3, 440))
    assert main(["corpus", "check", "--params", str(place.params)]) == 1
    shown = capsys.readouterr().out
    for reason in ("empty file (0 bytes) (1)", "text, no audio (1)", "no such file (1)", "1 below 1 s"):
        assert reason in shown
    assert "stops the pipeline: waveforms.16000.max_rejected=0.02 of 12 clips, got 4 rejected" in shown


def test_incomplete_files_are_named_and_stop_the_pipeline_where_they_will_be_rejected(tmp_path, make_corpus, capsys):
    place = fill(tmp_path, *make_corpus())
    path = min(place.audio.glob("0/*.mp3"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    assert main(["corpus", "check", "--params", str(place.params)]) == 0
    assert re.search(rf"0/{path.name}: ends at 1\.\d s, within a frame: the file is cut off", capsys.readouterr().out)
    content = yaml.safe_load(place.params.read_text())
    next(iter(content["waveforms"].values()))["incomplete"] = "reject"
    place.params.write_text(yaml.safe_dump(content))
    assert main(["corpus", "check", "--params", str(place.params)]) == 1
    assert "of 12 clips, got 1 rejected" in capsys.readouterr().out


def test_labels_that_cannot_be_made_are_found(tmp_path, make_corpus, capsys):
    place = fill(tmp_path, *make_corpus())
    (tmp_path / "groups.yaml").write_text("- [high, hihg]")
    content = yaml.safe_load(place.params.read_text())
    content["labels"]["top3"]["synonyms"] = str(tmp_path / "groups.yaml")
    place.params.write_text(yaml.safe_dump(content))
    assert main(["corpus", "check", "--params", str(place.params)]) == 1
    assert "'hihg' of the group" in capsys.readouterr().out
    content["corpus"]["audio"] = str(tmp_path / "nowhere")
    place.params.write_text(yaml.safe_dump(content))
    assert main(["corpus", "check", "--params", str(place.params)]) == 1
    assert "holds no folder with MP3 files" in capsys.readouterr().out


def table_of(place, artists):
    """A table of two clips by each artist, some without a tag, which the settings of ``place`` then name."""
    rows = [f"0/{i}.wav,{'piano' if i % 3 else ''},artist{i // 2}" for i in range(2 * artists)]
    for row in rows:
        path = place.folder / "music" / row.split(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(1.5, 300), 16_000)
    (place.folder / "music.csv").write_text("\n".join(["path,tags,artist", *rows]))
    content = yaml.safe_load(place.params.read_text())
    content["corpus"] = {
        "kind": "table", "audio": str(place.folder / "music"), "annotations": str(place.folder / "music.csv"),
    }  # fmt: skip
    return content


def pipeline(place, content):
    """What the two stages say and write: clips per split, or why there are none."""
    place.params.write_text(yaml.safe_dump(content))
    out = place.folder / "made"
    commands = (
        ("corpus", "--out", out),
        (
            "labels",
            "top3",
            "--corpus",
            out,
            "--out",
            out / "l.csv",
            "--metrics",
            out / "l.json",
            "--positives",
            out / "p.csv",
        ),
    )
    for name, *arguments in commands:
        done = subprocess.run(
            [sys.executable, str(ROOT / f"stages/{name}.py"), *map(str, arguments)],
            cwd=place.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return done.stderr.removeprefix("error: ").strip()
    counts = json.loads((out / "l.json").read_text())
    return "/".join(str(counts[s]["clips"]) for s in ("train", "valid", "test"))


@pytest.mark.parametrize("rule", ["corpus", "artist", "song", "panwar-random"])
def test_what_is_shown_of_a_rule_is_what_the_pipeline_makes_of_it(tmp_path, make_corpus, capsys, rule):
    """Seven artists: of the corpus's own rule, the hash of their names, no clip comes to test; others deal anew."""
    place = fill(tmp_path, *make_corpus())
    content = table_of(place, 7)
    place.params.write_text(yaml.safe_dump(content))
    main(["corpus", "check", "--params", str(place.params)])
    shown = capsys.readouterr().out
    line = next(line for line in shown.splitlines() if line.startswith(f"split {rule}"))
    content["corpus"]["split"] = rule
    made = pipeline(place, content)
    sizes = line.split()[2 + (rule == "corpus")].rstrip(";")
    if made.startswith("labels."):
        assert "0" in sizes.split("/")
    else:
        assert sizes == made


def test_a_rule_that_leaves_a_split_empty_stops_and_the_other_rules_are_still_shown(tmp_path, make_corpus, capsys):
    place = fill(tmp_path, *make_corpus())
    content = table_of(place, 7)
    place.params.write_text(yaml.safe_dump(content))
    assert main(["corpus", "check", "--params", str(place.params)]) == 1
    shown = capsys.readouterr().out
    assert f"stops the pipeline: {pipeline(place, content)}" in shown
    assert "a hash of the artist's name chooses the split" in shown
    assert "split artist " in shown


def test_experiments_that_cannot_be_trained_stop_before_anything_is_read(tmp_path, make_corpus, capsys):
    place = fill(tmp_path, *make_corpus())
    content = yaml.safe_load(place.params.read_text())
    content["experiments"]["classes"] = {
        "representation": "mel", "labels": "top3", "model": "recurrent", "recipe": "short",
        "system": "mirex-5l-512h-lstm",
    }  # fmt: skip
    place.params.write_text(yaml.safe_dump(content))
    assert main(["corpus", "check", "--params", str(place.params)]) == 1
    assert "stops the pipeline: experiments.classes: the system 'mirex-5l-512h-lstm'" in capsys.readouterr().out


def test_a_file_is_measured_and_one_that_cannot_be_opened_is_a_reject(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "x.wav", tone(2.5, 440), 16_000)
    assert header(tmp_path / "x.wav").seconds == 2.5

    def refused(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(tmp_path), "stat", refused)
    assert header(tmp_path / "x.wav").reason == "not readable: Permission denied"


def test_a_demo_that_is_not_rendered_yet_names_the_stage_that_renders_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["corpus", "check", "--params", str(ROOT / "params.yaml")]) == 1
    assert "data/demo/audio does not exist; `dvc repro demo` renders" in capsys.readouterr().out


def checked(tiny, capsys):
    """The exit code of the check, and its lines."""
    code = main(["corpus", "check", "--params", str(tiny.write_settings())])
    return code, capsys.readouterr().out.splitlines()


def test_how_much_of_a_table_matches_and_what_is_no_clip_is_said(tmp_path, capsys):
    tiny = Tiny(tmp_path)
    for name in ("f/more.opus", "._0.wav", ".Trash-1000/1.wav"):
        tiny.sound("f/x.wav")
        (tiny.audio / "f/x.wav").rename((tiny.audio / name).parent.mkdir(exist_ok=True) or tiny.audio / name)
    lines = (tmp_path / "table.csv").read_text().replace("/", "\\").splitlines()
    tiny.table(*lines, "F\\0.wav,piano,artist 0,train", ".Trash-1000\\1.wav,piano,artist 7,train")
    tiny.settings["waveforms"]["8000"]["max_rejected"] = 0.1
    code, shown = checked(tiny, capsys)
    assert code == 0
    shown = [line.replace(f"{tmp_path}/", "") for line in shown]
    backslashes = "have backslashes for slashes; their files are found: 'f\\\\0.wav' and 11 more"
    assert "table.csv: 12 of 14 rows match a file" in shown
    assert f"table.csv: 12 of 14 paths {backslashes}" in shown
    told = "line 14: 'F\\\\0.wav' ('f/0.wav' is there: its letters' case differs)"
    assert f"warning: table.csv: 1 rows match no file: table.csv, {told}" in shown
    assert any("1 of 14 rows name files of an operating system and are left out" in line for line in shown)
    assert "1 audio files below audio are no clips: 'f/more.opus'" in shown


def test_what_stops_dvc_stops_the_pipeline_even_if_no_clip_is_of_it(tmp_path, capsys):
    tiny = Tiny(tmp_path)
    (tiny.audio / "f/cover.jpg").symlink_to("nowhere.jpg")
    code, shown = checked(tiny, capsys)
    assert code == 1
    assert shown[-1].startswith("stops the pipeline: links to what is not there, which end DVC (1): ")
    (tiny.audio / "f/cover.jpg").unlink()
    tiny.kind("folders", tmp_path / "lists")
    told = "\n".join(checked(tiny, capsys)[1])
    assert (
        f"corpus.annotations: {tmp_path / 'lists'} does not exist, which DVC refuses; an empty folder would do" in told
    )
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/old.csv").symlink_to("gone.csv")
    assert "lists/old.csv -> gone.csv'; remove them" in "\n".join(checked(tiny, capsys)[1])


def test_names_that_are_one_for_a_reader_are_said(tmp_path, capsys):
    tiny = Tiny(tmp_path)
    lines = (tmp_path / "table.csv").read_text().splitlines()
    tiny.table(*lines[:-1], lines[-1].replace("piano", "Piano").replace("artist", "Artist"))
    _, shown = checked(tiny, capsys)
    assert "warning: 1 tags in several ways of writing count as different: 'piano' and 'Piano'" in shown
    assert "warning: 1 artists in several ways of writing count as different: 'artist 5' and 'Artist 5'" in shown
