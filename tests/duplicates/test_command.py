"""`earmark corpus check --deep`: pairs are told with their splits, and written into a CSV."""

from __future__ import annotations

import csv

import pytest
import soundfile as sf
import yaml
from helpers import ROOT
from helpers.melodies import COPIES, RATE, melody

from earmark.cli import main
from earmark.config import load
from earmark.duplicates import command

CLIPS = {  # path: seed, song, split
    "a/one.wav": (1, "one", "train"), "a/two.wav": (2, "two", "train"), "a/three.wav": (3, "three", "train"),
    "a/three-again.wav": (3, "again", "train"), "b/four.wav": (4, "four", "valid"), "c/five.wav": (5, "five", "test"),
    "c/six.wav": (6, "six", "test"), "c/copy.wav": (2, "copy", "test"), "c/other-cut.wav": (1, "one", "test"),
}  # fmt: skip


@pytest.fixture
def params(tmp_path):
    """A table of clips, with a copy across splits, one within a split, and one of the same song; a file is empty."""
    for path, (seed, _, _) in CLIPS.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        wave = COPIES["MP3 of few bits"](melody(seed)) if "copy" in path else melody(seed)
        sf.write(tmp_path / path, wave, RATE)
    (tmp_path / "c/six.wav").write_bytes(b"")
    rows = [f"{path},x,{song},{split}" for path, (_, song, split) in CLIPS.items()]
    (tmp_path / "music.csv").write_text("\n".join(["path,tags,song,split", *rows]))
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["corpus"] = {"kind": "table", "audio": str(tmp_path), "annotations": str(tmp_path / "music.csv")}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "params.yaml"


def test_pairs_across_splits_are_a_warning_and_come_first(params, tmp_path):
    told = command.check(load(params), tmp_path / "pairs.csv").splitlines()
    assert told[0] == "near-duplicates: 8 files are compared; 1 are not: silent, shorter than 3.5 s or not decodable"
    assert told[1].startswith("warning: near-duplicates across splits: 1 (share of the bits that differ, below 0.27;")
    assert told[2].split()[1:] == ["a/two.wav", "(train)", "=", "c/copy.wav", "(test)"]
    assert told[3].startswith("near-duplicates within a split: 1 (")
    assert "0.000  a/three.wav (train) = a/three-again.wav (train)" in told[4]
    with (tmp_path / "pairs.csv").open() as file:
        first, second = csv.DictReader(file)
    assert (first["path"], first["other_path"], first["across_splits"]) == ("a/two.wav", "c/copy.wav", "1")
    assert 0 < float(first["distance"]) < 0.27
    assert (second["distance"], second["split"], second["other_split"]) == ("0.0000", "train", "train")


def test_long_lists_are_cut_and_a_pair_says_where_it_begins(params, tmp_path, monkeypatch):
    sf.write(tmp_path / "c/copy.wav", melody(2)[round(1.6 * RATE) :], RATE)
    told = command.check(load(params))
    assert "c/copy.wav (test), which begins 1.6 s later" in told
    monkeypatch.setattr(command, "SHOWN", 0)
    assert command.check(load(params)).count("  and 1 more; --csv FILE lists all") == 2


def test_the_splits_are_those_of_the_labels_of_the_first_experiment(params, monkeypatch):
    content = yaml.safe_load(params.read_text())
    content["labels"]["top50"]["split"] = "song"
    params.write_text(yaml.safe_dump(content))
    asked = []
    monkeypatch.setattr(command, "deal", lambda policy, _, clips, __: asked.append(policy) or clips)
    monkeypatch.setattr(command, "fingerprints", lambda clips, _: [None] * len(clips))
    command.check(load(params))
    assert asked == ["song"]


def test_the_command_is_part_of_the_check(params, capsys):
    main(["corpus", "check", "--params", str(params), "--deep"])
    assert "warning: near-duplicates across splits: 1 (" in capsys.readouterr().out
    main(["corpus", "check", "--params", str(params)])
    assert "near-duplicates" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["corpus", "check", "--params", str(params), "--csv", "x.csv"])
    assert "--csv x.csv goes with --deep" in capsys.readouterr().err
    (params.parent / "music.csv").unlink()
    assert main(["corpus", "check", "--params", str(params), "--deep"]) == 1
    assert "near-duplicates: corpus.annotations: " in capsys.readouterr().out
