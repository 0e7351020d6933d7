"""What an edit of the code re-runs, through DVC, in a clone: the stage `code`, and what the edit can change."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import ROOT
from helpers.clones import SMALL, Clone, experiments

from earmark.storage import provenance

CQT = {"kind": "cqt", "rate": 16_000, "samples": 28_000, "bins": 12, "hop": 256}


@pytest.fixture(scope="module")
def run_once(tmp_path_factory) -> Clone:
    """A clone with two kinds of representation and two families of networks, everything run."""
    from helpers.music import tone, write_annotations, write_mp3

    folder = tmp_path_factory.mktemp("digests") / "project"
    folder.mkdir()
    clone = Clone.of_this(folder).warm()
    rows = []
    for song in range(4):
        for part in range(2):
            path = f"{'01cd'[song]}/artist_{song}-album-0{song}-title-{29 * part}-{29 * part + 29}.mp3"
            write_mp3(folder / "corpus/audio" / path, tone(2, 300 + 900 * part))
            rows.append((str(10 + 2 * song + part), [part, 1 - part, song % 2], path))
    write_annotations(folder / "corpus/annotations_final.csv", ["high", "low", "odd"], rows)
    clone.small(representations=SMALL["representations"] | {"cqt": CQT}, experiments=experiments())
    clone.repro()
    return clone


@pytest.fixture
def clone(run_once: Clone) -> Iterator[Clone]:
    """The same, its code as it was before and after."""
    yield run_once
    for name in ("src", "stages"):
        shutil.rmtree(run_once.folder / name)
        shutil.copytree(ROOT / name, run_once.folder / name, ignore=shutil.ignore_patterns("__pycache__"))


def edit(clone: Clone, file: str, before: str, after: str) -> None:
    path = clone.folder / file
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def rerun(clone: Clone) -> set[str]:
    """Which stages run after an edit, beside `code`: those that depend on what it writes, as `dvc repro` tells."""
    clone.run(sys.executable, "stages/digests.py", "--out", "data/code")  # the stage's command, without DVC around it
    stages = set(clone.repro("--dry"))
    assert "code" in stages
    return stages - {"code"}


def of(stages: set[str], *names: str) -> set[str]:
    return {stage for stage in stages if stage.partition("@")[0] in names}


IDLE = {
    "a comment": ("src/earmark/systems/published.py", "\nSONG_2018 = ", "\n# a comment\nSONG_2018 = "),
    "a comment behind code": ("src/earmark/decode/counts.py", "TIONED = 10  # rejects", "TIONED = 10  # of rejects"),
    "a docstring": ("src/earmark/storage/shards.py", '"""HDF5 shards: contiguous', '"""Shards in HDF5: contiguous'),
    "no docstring": ("src/earmark/models/crnn.py", '    """', '    """More. '),
    "a blank line": ("src/earmark/corpus/label_table.py", "\n_COLUMNS = ", "\n\n\n\n_COLUMNS = "),
    "white space": ("src/earmark/evaluation/evaluate.py", "np.linspace(0, 1, 101)", "np.linspace( 0,1,101 )"),
    "a neutral module": ("src/earmark/progress.py", "leave=False", "leave=True"),
    "texts of errors": ("src/earmark/errors.py", "error: ", "fault: "),
    "a comment in a script": ("stages/train.py", "def main(", "# a comment\ndef main("),
}  # fmt: skip


def test_what_cannot_change_a_result_runs_the_stage_code_alone(clone):
    for what in IDLE.values():  # all at once: one that changed a result would run its stages here, too
        edit(clone, *what)
    assert rerun(clone) == set()


def test_a_network_runs_the_experiments_of_its_family(clone):
    edit(clone, "src/earmark/models/convolutional.py", "\n\nclass ", "\n\nVERSION = 2\n\n\nclass ")
    found = rerun(clone)
    assert {"train@cnn", "evaluate@cnn"} <= found
    assert not found & {"train@linear", "evaluate@linear"}
    assert not of(found, "decode", "features", "standardize", "labels", "corpus", "demo")


def test_decoding_runs_the_decoding(clone):
    edit(clone, "src/earmark/decode/counts.py", "MENTIONED = 10", "MENTIONED = 11")
    found = rerun(clone)
    assert "decode@16000" in found
    assert not of(found, "demo", "corpus", "labels")


def test_a_representation_runs_that_representation(clone):
    edit(clone, "src/earmark/representations/mel.py", "AMIN = 1e-10", "AMIN = 1e-11")
    found = rerun(clone)
    assert of(found, "features") == {"features@mel"}
    assert not of(found, "demo", "corpus", "labels", "decode")


def test_what_stores_and_what_scales_a_waveform_runs_what_it_changes(clone):
    edit(clone, "src/earmark/decode/audio.py", "SILENT = 1e-4", "SILENT = 2e-4")
    assert "decode@16000" in rerun(clone)
    edit(clone, "src/earmark/features/extract.py", '{"cpu": 16', '{"cpu": 8')
    assert of(rerun(clone), "features") == {"features@mel", "features@cqt"}


def test_the_report_runs_the_report(clone):
    edit(clone, "src/earmark/report/tables.py", "PAIRS = (", "VERSION = 2\nPAIRS = (")
    assert rerun(clone) == {"report"}


def test_a_stages_script_runs_its_stage(clone):
    edit(clone, "stages/standardize.py", "def main(", "VERSION = 2\n\n\ndef main(")
    wanted = {"standardize@mel-top50", "standardize@cqt-top50"}
    assert of(rerun(clone), "standardize", "features", "decode", "labels") == wanted


def test_a_new_family_and_a_new_kind_need_no_line_in_the_pipeline(clone):
    models, kinds = (clone.folder / "src/earmark" / name for name in ("models", "representations"))
    shutil.copy(models / "convolutional.py", models / "mine.py")
    shutil.copy(kinds / "waveform.py", kinds / "own.py")
    assert rerun(clone) <= {"report"}  # which counts the parameters of every system
    written = {path.name for path in (clone.folder / "data/code").iterdir()}
    assert {"train-mine", "evaluate-mine", "crossvalidate-mine", "features-own"} <= written


def test_code_that_is_none_is_named_by_its_place(clone):
    edit(clone, "src/earmark/report/tables.py", "PAIRS = (", "PAIRS = = (")
    clone.repro("code", code=255)
    assert re.search(r"error: .*tables\.py, line \d+: invalid syntax", clone.output)
    assert "Traceback" not in clone.output


def test_what_scales_a_waveform_makes_every_shard_again(clone):
    """The last of these: it leaves other data."""
    kept = {path: path.read_bytes() for path in (clone.folder / "data/features/mel").glob("*.h5")}
    edit(clone, "src/earmark/decode/audio.py", "32768", "16384")
    clone.repro("features@mel")
    assert "decode 16000 Hz: 8 clips" in clone.output
    assert "features mel: 8 clips" in clone.output
    assert all(path.read_bytes() != content for path, content in kept.items())


def test_the_pipeline_names_no_source_file_but_in_its_first_stage():
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "src/" in line]
    assert lines == ["    deps: [data/settings/verdict, src/earmark, stages]"]
    assert len(text.splitlines()) <= 210


# Sources that a tokeniser may take differently from one Python to the next, and their digests.
GOLDEN = json.loads((ROOT / "tests/golden/sources.json").read_text(encoding="utf-8"))


def pythons() -> list[str]:
    """Every Python from 3.11 to 3.13 that PATH or pyenv offers, this one among them."""
    found = {sys.version_info[:2]: sys.executable}
    candidates = [shutil.which(f"python3.{minor}") for minor in (11, 12, 13)]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(path) for minor in (11, 12, 13) for path in sorted(root.glob(f"3.{minor}.*/bin/python"))]
    for candidate in filter(None, candidates):
        asked = [candidate, "-c", "import sys; print(*sys.version_info[:2])"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode == 0:  # pyenv's own names fail for versions that are not chosen
            major, minor = map(int, done.stdout.split())
            found.setdefault((major, minor), candidate)
    return [path for _, path in sorted(found.items())]


SCRIPT = """
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
from earmark.storage import provenance, source
golden = {name: hashlib.sha256("\\0".join(source.essence(text)).encode()).hexdigest()
          for name, text in json.load(sys.stdin).items()}
print(json.dumps({"golden": golden, "consumers": {name: provenance.digest(name) for name in provenance.consumers()}}))
"""


@pytest.mark.parametrize("python", pythons(), ids=lambda path: Path(path).parent.parent.name)
def test_digests_are_the_same_under_every_python(python):
    done = subprocess.run(
        [python, "-c", SCRIPT, str(ROOT / "src")],
        input=json.dumps({name: source["text"] for name, source in GOLDEN.items()}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["golden"] == {name: source["digest"] for name, source in GOLDEN.items()}
    assert found["consumers"] == {name: provenance.digest(name) for name in provenance.consumers()}


def test_line_ends_and_a_byte_order_mark_do_not_count(tmp_path):
    for name, source in GOLDEN.items():
        digests = set()
        for number, (ending, mark) in enumerate((("\n", b""), ("\r\n", b""), ("\n", b"\xef\xbb\xbf"))):
            path = tmp_path / f"{name}{number}.py"
            path.write_bytes(mark + source["text"].replace("\n", ending).encode())
            digests.add(provenance.source_digest(path))
        assert len(digests) == 1
