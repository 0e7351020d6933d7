"""What comes from others runs no code: no pickle, no evaluated text, no name in a shell, no formula in a cell."""

from __future__ import annotations

import ast
import csv
import re
import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from helpers import ROOT
from helpers.clones import Clone

from earmark.evaluation.examine import Examined
from earmark.evaluation.mistakes import Mistake
from earmark.storage import provenance
from earmark.storage.source import read_source
from earmark.training import checkpoints

# What runs code that a file holds. The processes that decode speak by pickles with the process that started them alone.
NAMES = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "jsonpickle"}
OWN_PIPE = "decode/worker.py"


def dangers(tree):
    """Yield what is dangerous in a module, with its line."""
    for node in ast.walk(tree):
        imported = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from ((name, node.lineno) for name in imported if name.partition(".")[0] in MODULES)
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {k.arg: ast.unparse(k.value) for k in node.keywords}
        if isinstance(node.func, ast.Name) and called in NAMES:
            yield called, node.lineno
        if called in ("torch.load", "os.system", "os.popen") and given.get("weights_only") != "True":
            yield called, node.lineno
        if given.get("shell", "False") != "False" or given.get("allow_pickle", "False") != "False":
            yield called, node.lineno
        if given.get("weights_only", "True") != "True":
            yield called, node.lineno
        if called in ("yaml.load", "yaml.unsafe_load", "yaml.full_load") and "_LOADER" not in ast.unparse(node):
            yield called, node.lineno


@pytest.mark.parametrize(
    "text",
    [
        "import pickle", "from joblib import load", "eval('1')", "exec(x)", "torch.load(p)",
        "torch.load(p, weights_only=False)", "trainer.fit(x, weights_only=False)", "np.load(p, allow_pickle=True)",
        "subprocess.run(c, shell=True)", "yaml.load(t, yaml.Loader)", "os.system(c)",
    ],
)  # fmt: skip
def test_the_check_sees(text):
    assert list(dangers(ast.parse(text)))


def test_nothing_in_the_project_runs_what_a_file_holds():
    files = [*provenance.PACKAGE.rglob("*.py"), *(ROOT / "stages").glob("*.py")]
    found = [
        f"{file.name}, line {line}: {what}"
        for file in files
        if not file.as_posix().endswith(OWN_PIPE)
        for what, line in dangers(ast.parse(read_source(file)))
    ]
    assert not found


def test_the_loader_of_dvcs_own_file_makes_nothing_but_plain_values():
    from earmark.report.dvc_experiments import _LOADER

    assert issubclass(_LOADER, (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


class Opened:
    """What a pickle can do: whoever opens it touches a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_checkpoint_from_others_runs_no_code_and_training_begins_anew(tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    torch.save({"state_dict": Opened(tmp_path / "ran")}, folder / "writing.tmp")
    path = checkpoints.seal(folder / "writing.tmp", checkpoints.GOING_ON)  # as its writer would
    assert checkpoints.find(folder, lambda *_: "") is None
    assert not (tmp_path / "ran").exists()
    assert not path.exists()
    assert "is discarded, and training starts anew: Weights only load failed" in capsys.readouterr().err


def test_a_key_of_params_yaml_cannot_run_a_command(tmp_path):
    """DVC puts the keys of these sections into commands; the stage that judges them is the first one."""
    clone = Clone.of_this(tmp_path)
    clone.small()
    sections = {}
    for section in ("labels", "waveforms", "representations", "experiments"):
        entries = clone.params_now()[section]
        name = next(iter(entries))
        sections[section] = entries | {f"{name}; touch X; #": entries[name]}
    clone.params(**sections)
    done = subprocess.run(
        ["dvc", "repro"], cwd=tmp_path, env=clone.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode
    for section in sections:
        assert re.search(rf"params\.yaml: {section}\..*touch X", done.stderr)
    assert not (tmp_path / "X").exists()
    assert not (tmp_path / "data/code").exists()  # nothing but `settings` ran


def test_cells_that_a_spreadsheet_would_compute_are_shown_as_they_are(tmp_path):
    mistake = Mistake("false positive", "7", "=HYPERLINK(1).mp3", "+song", "@tag", 0.5, 0.25, 0.1)
    Examined("x", 1, 1, [mistake], []).write(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as file:
        assert list(csv.reader(file))[1][:5] == ["false positive", "7", "'=HYPERLINK(1).mp3", "'+song", "'@tag"]
