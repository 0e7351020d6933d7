"""Two branches that each add an experiment are merged by two commands, and nothing is trained again."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from helpers import ROOT
from helpers.clones import LINEAR, Clone, six_songs

from earmark import merge
from earmark.merge import ABSENT, ClashError, main, united

LINE = "  linear: {representation: mel, labels: top50, model: linear}\n"
PARAMS = """experiments:
  # each trains in seconds
  linear: {representation: mel, model: linear}
evaluation: {resamples: 20, seed: 1}
"""


def three(tmp_path, base: str, ours: str, theirs: str) -> list[str]:
    for name, text in zip("OAB", (base, ours, theirs), strict=True):
        (tmp_path / name).write_text(text)
    return [str(tmp_path / name) for name in "OAB"]


def adding(line: str, text: str = PARAMS) -> str:
    return text.replace("evaluation:", f"  {line}\nevaluation:")


def test_each_side_s_changes_are_united_and_a_value_that_both_changed_clashes():
    base = {"a": 1, "b": {"x": 1, "y": 2}, "c": 3, "d": 4}
    ours = {"a": 1, "b": {"x": 5, "y": 2, "new": 0}, "c": 3}
    theirs = {"a": 2, "b": {"x": 1}, "c": 3, "d": 4, "e": 6}
    assert united(base, ours, theirs) == {"a": 2, "b": {"x": 5, "new": 0}, "c": 3, "e": 6}
    assert list(united({}, {"b": 1}, {"a": 2})) == ["b", "a"]
    for one, other in ((1, 2), (ABSENT, 2), ({"x": 1}, {"y": 2})):
        with pytest.raises(ClashError):
            united({"k": 0}, {"k": one} if one is not ABSENT else {}, {"k": other})


def test_a_lock_is_united_by_stage_and_ours_stays_where_both_ran_a_stage(tmp_path):
    def lock(**stages):
        return yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False)

    def run(md5):
        return {"cmd": "python run.py", "outs": [{"path": "out", "md5": md5}]}

    base = lock(same=run("1"), ours=run("1"), theirs=run("1"), both=run("1"), gone=run("1"), removed=run("1"))
    ours = lock(same=run("1"), ours=run("2"), theirs=run("1"), both=run("2"), removed=run("2"), mine=run("5"))
    theirs = lock(same=run("1"), ours=run("1"), theirs=run("3"), both=run("3"), gone=run("1"), other=run("6"))
    paths = three(tmp_path, base, ours, theirs)
    assert main(["lock", *paths]) == 0
    stages = yaml.safe_load((tmp_path / "A").read_text())["stages"]
    assert {name: stage["outs"][0]["md5"] for name, stage in stages.items()} == {
        "same": "1", "ours": "2", "theirs": "3", "both": "2", "removed": "2", "mine": "5", "other": "6",
    }  # fmt: skip


def test_a_lock_is_written_as_dvc_writes_it(tmp_path):
    text = (ROOT / "dvc.lock").read_text()
    assert main(["lock", *three(tmp_path, text, text, text.replace("nfiles: 9", "nfiles: 8"))]) == 0
    assert (tmp_path / "A").read_text() == text.replace("nfiles: 9", "nfiles: 8")


def test_a_lock_that_cannot_be_read_is_left_to_git(tmp_path, capfd):
    assert main(["lock", *three(tmp_path, "a: 1\n", "a: 2\n", "a: [\n")]) == 1
    assert "<<<<<<< ours\na: 2\n=======\na: [\n>>>>>>> theirs\n" in (tmp_path / "A").read_text()
    assert "Traceback" not in capfd.readouterr().err


def test_experiments_that_stand_at_the_same_place_are_both_kept_with_their_comments(tmp_path):
    first, second = adding("one: {representation: mel} # mine"), adding("two: {representation: mel} # yours")
    assert main(["params", *three(tmp_path, PARAMS, first, second)]) == 0
    merged = (tmp_path / "A").read_text()
    assert list(yaml.safe_load(merged)["experiments"]) == ["linear", "one", "two"]
    assert all(comment in merged for comment in ("# each trains in seconds", "# mine", "# yours"))


def test_what_git_merges_is_as_git_merges_it(tmp_path):
    base = PARAMS.replace("evaluation", "labels: {top: 3}\n\n\n\nevaluation")
    ours, theirs = base.replace("model: linear", "model: other"), base.replace("seed: 1", "seed: 2")
    assert main(["params", *three(tmp_path, base, ours, theirs)]) == 0
    assert (tmp_path / "A").read_text() == ours.replace("seed: 1", "seed: 2")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (adding("one: {representation: mel}"), adding("one: {representation: cqt}")),
        (PARAMS.replace("seed: 1", "seed: 2"), PARAMS.replace("seed: 1", "seed: 3")),
        (adding("one:\n    - 1"), adding("one:\n    - 2")),
        (adding("one: {a: 1}").replace("resamples: 20", "resamples: 9"), adding("two: {a: 1}")),
    ],
    ids=["the same name", "the same value", "the same list", "a line that the other side changed too"],
)
def test_a_key_that_both_sides_set_stays_gits_conflict(tmp_path, capfd, ours, theirs):
    assert main(["params", *three(tmp_path, PARAMS, ours, theirs)]) == 1
    merged = (tmp_path / "A").read_text()
    assert merged.count("<<<<<<< ours") == merged.count(">>>>>>> theirs") == 1
    assert "Traceback" not in capfd.readouterr().err


def test_a_key_that_stands_twice_after_gits_own_merge_is_a_conflict_that_says_so(tmp_path, capfd):
    base = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\n"
    assert main(["params", *three(tmp_path, base, "new: 1\n" + base, base + "new: 2\n")]) == 1
    assert 'found duplicate key "new"' in capfd.readouterr().err


def test_the_drivers_of_gitattributes_are_those_that_install_names(tmp_path, monkeypatch):
    lines = (ROOT / ".gitattributes").read_text().splitlines()
    rows = [line.split() for line in lines if " merge=" in line and not line.startswith("#")]
    assert {row[1].removeprefix("merge=") for row in rows} == set(merge.DRIVERS)
    assert all((ROOT / row[0]).is_file() for row in rows)
    monkeypatch.chdir(tmp_path)
    assert main(["install"]) == 0  # no repository: nothing to do
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert merge.install("/a place/python")
    found = subprocess.run(["git", "config", "merge.earmark-lock.driver"], capture_output=True, text=True, check=True)
    assert found.stdout == "'/a place/python' -m earmark.merge lock %O %A %B\n"


def test_merging_waits_for_no_heavy_library():
    code = "import sys; import earmark.merge; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "dvc", "pydantic", "sklearn"} & set(loaded)


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """A clone with one experiment, run and committed, whose params.yaml has a line for each."""
    folder = tmp_path_factory.mktemp("merge") / "project"
    folder.mkdir()
    clone = Clone.of_this(folder).warm()
    six_songs(folder / "corpus")
    clone.small(experiments={"linear": LINEAR})
    one_line = f"experiments:\n{LINE}"
    params = clone.folder / "params.yaml"
    blocks = yaml.safe_load(params.read_text()) | {"experiments": None}
    params.write_text(yaml.safe_dump(blocks).replace("experiments: null\n", one_line))
    clone.run(sys.executable, "-m", "earmark.merge", "install")
    clone.repro()
    clone.commit("one experiment")
    return clone


def add_on_a_branch(clone: Clone, branch: str, line: str) -> list[str]:
    """Add an experiment below `linear` on a branch from main, run it and commit; the stages that ran."""
    clone.run("git", "checkout", "--quiet", "-b", branch, "main")
    params = clone.folder / "params.yaml"
    below = LINE
    params.write_text(params.read_text().replace(below, f"{below}  {line}\n"))
    ran = clone.repro()
    clone.commit(branch)
    return ran


def test_two_branches_that_each_add_an_experiment_are_merged_by_two_commands(team):
    other = "other: {representation: mel, labels: top50, model: linear, system: linear, seeds: [2]}"
    third = "third: {representation: mel, labels: top50, model: linear, system: linear, seeds: [3]}"
    assert add_on_a_branch(team, "theirs", other) == ["train@other", "evaluate@other", "report"]
    assert add_on_a_branch(team, "ours", third) == ["train@third", "evaluate@third", "report"]
    team.run("git", "merge", "--no-edit", "theirs")
    assert team.run("git", "status", "--porcelain", "--untracked-files=no") == ""
    ran = team.repro()
    assert not [stage for stage in ran if stage.startswith(("train@", "features@", "decode@"))], team.output
    assert ran == ["report"], team.output
    page = (team.folder / "metrics/report.md").read_text()
    assert all(f"| {name} " in page for name in ("linear", "other", "third"))
    assert list(team.params_now()["experiments"]) == ["linear", "third", "other"]
    changed = {line[3:] for line in team.run("git", "status", "--porcelain", "--untracked-files=no").splitlines()}
    assert changed == {"dvc.lock", "docs/reproduction.md", "metrics/comparison.json", "metrics/report.md"}
    assert team.repro() == []
    assert "is cached" not in team.output
