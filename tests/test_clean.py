"""What `earmark clean` frees, and what it must never touch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

from earmark.cli import main
from earmark.decode.index import Entry, Index

FREED = (
    "data/embeddings/mel-12345678.h5",
    "data/papers/features/mel-12345678/rock.h5",
    "data/probes/musicnn/conv1/rock.h5",
    "data/checkpoints/no-such-experiment/0a1b/epoch-1234.ckpt",
    "data/logs/csv/cqt-2d-cnn/seed-1-12345678/metrics.csv",
    "data/waveforms/.earmark-waveforms/bb/bb22.h5",
    "data/features/mel/.rock.h5.{dead}.tmp",
)
KEPT = (
    "data/waveforms/.earmark-waveforms/aa/aa11.h5",  # named by the index
    "data/checkpoints/linear/0a1b/epoch-1234.ckpt",
    "data/checkpoints/linear/0a1b/notes.txt",
    "data/papers/checkpoints/crnn/0a1b/epoch-1234.ckpt",
    "data/papers/models/crnn/model.pt",
    "data/papers/scores/crnn.csv",
    "data/features/mel/rock.h5",
    "data/features/mel/.rock.h5.{alive}.tmp",
    "data/models/linear/seed-1.pt",
    "data/corpus/manifest.csv",
    "data/demo/audio/0/1.mp3",
    "data/weights/musicnn-mtt/model.pt",
    "data/embeddings/notes.txt",
    "data/logs/csv/linear/seed-1-12345678/metrics.csv",  # its training goes on
    "data/logs/train.jsonl",  # times are measured once
    "data/logs/mlflow/mlruns/0/meta.yaml",
    "corpus/audio/rock/one.mp3",
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a file of each kind, 1,000 bytes each, and the project's params.yaml."""
    monkeypatch.chdir(tmp_path)
    for variable in ("EARMARK_WAVEFORMS", "EARMARK_LOGS"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = socket.gethostname()
    marks = {"dead": f"{here}-{ended.pid}", "alive": f"{here}-{os.getpid()}"}
    kinds = {"freed": FREED, "kept": KEPT}
    places = {name: [tmp_path / path.format(**marks) for path in paths] for name, paths in kinds.items()}
    for path in places["freed"] + places["kept"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1000)
    Index({"rate": 16000}, "code", {"rock": Entry("aa11", 1, {}, [], {})}).write(tmp_path / "data/waveforms/16000")
    return places


def there(paths: list[Path]) -> list[str]:
    return [path.as_posix() for path in paths if path.exists()]


def test_what_can_be_made_again_goes_and_nothing_else(project, capsys):
    assert main(["clean", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert not [path for path in project["freed"] if not path.exists()]
    assert "would free 7.0 kB in all" in told
    assert main(["clean"]) == 0
    told = capsys.readouterr().out
    assert "freed 7.0 kB in all" in told
    assert "freed    1.0 kB  1 files, waveforms in " in told
    assert "kept    3.0 kB  3 files, checkpoints of trainings that are not finished; they go on where" in told
    assert there(project["freed"]) == []
    assert there(project["kept"]) == [path.as_posix() for path in project["kept"]]
    assert not Path("data/probes").exists() or not any(Path("data/probes/musicnn").glob("*"))
    assert main(["clean"]) == 0
    assert "freed 0 bytes in all" in capsys.readouterr().out


def test_states_of_trainings_go_where_that_is_asked_for(project, capsys):
    assert main(["clean", "--unfinished"]) == 0
    assert "made again by training from the start" in capsys.readouterr().out
    gone = [path for path in project["kept"] if not path.exists()]
    assert {path.parts[-4] for path in gone} == {"checkpoints"}
    assert len(gone) == 3


def test_without_readable_settings_no_checkpoint_counts_as_left_over(project):
    Path("params.yaml").unlink()
    assert main(["clean"]) == 0
    assert there([path for path in project["freed"] if "checkpoints" in path.parts])


def test_a_file_with_another_name_frees_nothing_and_a_link_costs_its_target_nothing(project, tmp_path, capsys):
    os.link(project["freed"][0], tmp_path / "second-name.h5")
    (tmp_path / "data/probes/musicnn/conv1/link.h5").symlink_to(project["kept"][0])
    assert main(["clean"]) == 0
    told = capsys.readouterr().out
    assert "0 bytes  1 files, embeddings in data/embeddings" in told
    assert (tmp_path / "second-name.h5").stat().st_size == 1000
    assert project["kept"][0].exists()


def test_a_folder_that_is_absent_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["clean", "--data", str(tmp_path / "nowhere")])
    assert "nowhere is no folder" in capsys.readouterr().err
