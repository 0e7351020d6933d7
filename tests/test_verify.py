"""``earmark verify`` finds what DVC does not see, names it, and brings it back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from earmark.cli import main
from earmark.storage import shards
from earmark.storage.shards import ShardWriter
from earmark.verify import md5, md5_of_folder

MAKE = """
import pathlib, sys
place = pathlib.Path(sys.argv[1])
place.mkdir(parents=True, exist_ok=True)
(place / "a.h5").write_text("one")
(place / "b.h5").write_text("two")
"""
DVC = {
    "stages": {
        "features": {
            "foreach": "${representations}",
            "do": {"cmd": "python make.py data/features/${key}", "outs": ["data/features/${key}"]},
        },
        "gone": {"cmd": "python make.py data/gone", "outs": ["data/gone"]},
    }
}


def dvc(*command):
    done = subprocess.run([sys.executable, "-m", "dvc", *command], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A repository of DVC with an output of two files, and a stage that dvc.yaml no longer has."""
    folder = tmp_path_factory.mktemp("repository")
    before = Path.cwd()
    os.chdir(folder)
    try:
        (folder / "make.py").write_text(MAKE)
        (folder / "params.yaml").write_text("representations: {mel: {}}\n")
        (folder / "dvc.yaml").write_text(yaml.safe_dump(DVC))
        dvc("init", "--no-scm", "--quiet")
        dvc("repro", "--quiet")
        del DVC["stages"]["gone"]
        (folder / "dvc.yaml").write_text(yaml.safe_dump(DVC))
        shutil.rmtree(folder / "data/gone")
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return Path("data/features/mel")


def rot(path):
    """Change a file as a disk does: neither its size nor its time tells it."""
    about, content = path.stat(), bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


@pytest.mark.usefixtures("here")
def test_what_was_made_is_found_whole_and_stages_of_before_do_not_count(capsys):
    assert main(["verify", "--deep"]) == 0
    assert "1 outputs of dvc.lock below data (all bytes): 0 damaged or absent" in capsys.readouterr().out


def test_a_rotten_bit_is_named_and_the_file_comes_back_from_the_cache(here, capsys):
    rot(here / "b.h5")
    assert main(["verify"]) == 0  # the size is as it was
    assert main(["verify", "--deep"]) == 1
    told = capsys.readouterr().out
    assert "data/features/mel/b.h5: is not what was written; `dvc pull data/features/mel`, or `dvc repro feat" in told
    assert "a.h5" not in told
    assert main(["verify", "--deep", "--repair"]) == 0
    assert (here / "b.h5").read_text() == "two"


def test_where_the_cache_is_damaged_too_the_stage_makes_it_again(here, capsys):
    rot(here / "a.h5")
    digest = "f97c5d29941bfb1b2fdab0874906ab82"  # md5 of `one`
    copy = Path(".dvc/cache/files/md5") / digest[:2] / digest[2:]
    copy.chmod(0o644)
    rot(copy)
    assert main(["verify", "--deep", "--repair"]) == 0
    assert md5(here / "a.h5") == digest
    assert "by `dvc repro --single-item features@mel`" in capsys.readouterr().err


@pytest.mark.parametrize("deep", [[], ["--deep"]])
def test_what_is_absent_cut_or_added_is_found(here, capsys, deep):
    (here / "a.h5").write_text("o")
    assert main(["verify", *deep]) == 1
    (here / "a.h5").unlink()
    assert main(["verify", *deep]) == 1
    shutil.rmtree(here)
    assert main(["verify", *deep]) == 1
    assert "data/features/mel: is absent; `dvc pull data/features/mel`" in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_shards_that_dvc_does_not_track_are_judged_by_their_seals(capsys, monkeypatch):
    place = Path("data/probe/x.h5")
    with ShardWriter(place, "features", 1, (2, 2), "float32") as writer:
        writer.append(["a"], np.ones((1, 2, 2)))
    assert main(["verify", "--deep"]) == 0
    rot(place)
    monkeypatch.setattr(shards, "_VERIFIED", {})  # as in a new process
    assert main(["verify", "--deep"]) == 1
    assert "data/probe/x.h5: cannot be used (it is no shard of this version" in capsys.readouterr().out
    assert main(["verify", "--deep", "--repair"]) == 0
    assert not place.exists()


def test_a_folder_has_the_sum_that_dvc_gives_it(here):
    told = yaml.safe_load(Path("dvc.lock").read_text())["stages"]["features@mel"]["outs"][0]["md5"]
    assert md5_of_folder({name: md5(here / name) for name in ("b.h5", "a.h5")}) == told


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("content", ["- a\n", "stages: {features@mel: {outs: [{path: data/x}]}}\n", "stages: [a]\n"])
def test_a_lock_that_is_none_is_named(capsys, content):
    Path("dvc.lock").write_text(content)
    with pytest.raises(SystemExit):
        main(["verify"])
    assert "dvc.lock is no lock of DVC" in capsys.readouterr().err
