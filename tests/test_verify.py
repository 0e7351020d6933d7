"""``earmark verify`` finds what DVC does not see, names it, and brings it back."""

from __future__ import annotations

import json
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


@pytest.fixture
def victim(here):
    """A file of somebody else, beside the repository."""
    (here.absolute().parents[3] / "victim").mkdir()
    file = here.absolute().parents[3] / "victim/keep.txt"
    file.write_text("precious")
    return file


def lock(**changes):
    """Change what dvc.lock says of the one output."""
    content = yaml.safe_load(Path("dvc.lock").read_text())
    content["stages"]["features@mel"]["outs"][0].update(changes)
    Path("dvc.lock").write_text(yaml.safe_dump(content))


def listing(*rows):
    """Put a list of the files of a folder into DVC's cache, and its MD5 into dvc.lock."""
    Path("list").write_text(json.dumps(rows))
    digest = md5(Path("list"))
    place = Path(".dvc/cache/files/md5") / digest[:2] / f"{digest[2:]}.dir"
    place.parent.mkdir(exist_ok=True)
    Path("list").rename(place)
    lock(md5=f"{digest}.dir")
    return place


def verify(*options):
    """Run the command; return its exit code, also if it ends in an error of one line."""
    try:
        return main(["verify", *options])
    except SystemExit as ended:
        return ended.code


@pytest.mark.parametrize(
    "change", [{"path": "data/../../victim"}, {"md5": "VICTIM"}, {"md5": "00/../../../../../victim/keep.txt"}]
)
def test_a_lock_that_leads_out_of_the_project_is_refused(victim, capsys, change):
    lock(**{key: value.replace("VICTIM", f"00{victim}") for key, value in change.items()})
    assert verify("--deep", "--repair") == 1
    assert "dvc.lock is no lock of DVC (ValueError" in capsys.readouterr().err
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("relpath", ["../../../../victim/keep.txt", "{victim}"])
def test_a_list_of_files_that_leads_out_of_the_project_is_not_believed(victim, capsys, monkeypatch, relpath):
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    listing({"md5": "0" * 32, "relpath": relpath.format(victim=victim)})
    verify("--deep", "--repair")
    assert "is not what was written, and which file differs is not known here" in capsys.readouterr().out
    assert victim.read_text() == "precious"


def test_a_list_that_is_not_what_its_name_says_is_not_believed(here, capsys):
    place = listing({"md5": "0" * 32, "relpath": "a.h5"})
    place.write_text(json.dumps([{"md5": "1" * 32, "relpath": "c.h5"}]))
    assert verify("--deep") == 1
    told = capsys.readouterr().out
    assert "c.h5" not in told
    assert f"{here}: is not what was written, and which file differs is not known here" in told


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("row", [{"md5": 5, "relpath": "a.h5"}, {"md5": "0" * 32, "relpath": 5}, {"md5": "0" * 32}, 5])
def test_a_list_of_files_that_is_none_is_told(capsys, row):
    listing(row)
    assert verify("--deep") == 1
    assert "is not what was written, and which file differs is not known here" in capsys.readouterr().out


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("change", [{"size": float("inf")}, {"size": None}, {"md5": 5}, {"md5": "0" * 31}, {"path": 5}])
def test_an_output_of_the_lock_that_is_none_is_told(capsys, change):
    lock(**change)
    assert verify("--deep") == 1
    assert "dvc.lock is no lock of DVC" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml"])
def test_settings_that_are_no_mapping_are_named(capsys, name):
    Path(name).write_text("- a\n")
    assert verify() == 1
    assert f"{name} must be a mapping, got list" in capsys.readouterr().err


def test_what_lies_elsewhere_by_a_link_is_judged_and_not_deleted(here, victim, capsys):
    shutil.rmtree(here.parent)
    here.parent.symlink_to(victim.parent)
    (victim.parent / "mel").mkdir()
    (victim.parent / "mel/a.h5").write_text("wrong")
    assert verify("--deep", "--repair") == 1
    told = capsys.readouterr()
    assert f"{here}/b.h5: is absent" in told.out
    assert f"{here}/a.h5: a link leads to it out of data, where nothing is deleted" in told.err
    assert (victim.parent / "mel/a.h5").read_text() == "wrong"


def test_an_output_that_is_a_link_to_a_folder_is_made_anew_and_the_folder_stays(here, victim):
    shutil.rmtree(here)
    here.symlink_to(victim.parent)
    assert verify("--repair") == 0
    assert (here / "b.h5").read_text() == "two"
    assert not here.is_symlink()
    assert victim.read_text() == "precious"


def test_links_into_the_cache_and_a_data_folder_on_another_disk_are_repaired(here, victim):
    shutil.move("data", victim.parent / "data")
    Path("data").symlink_to(victim.parent / "data")
    cached = Path(".dvc/cache/files/md5/f9/7c5d29941bfb1b2fdab0874906ab82").absolute()  # of `one`
    (here / "a.h5").unlink()
    (here / "a.h5").symlink_to(cached)
    assert verify("--deep") == 0
    (here / "a.h5").unlink()
    (here / "a.h5").symlink_to(victim)
    assert verify("--deep", "--repair") == 0
    assert (here / "a.h5").read_text() == "one"
    assert victim.read_text() == "precious"
