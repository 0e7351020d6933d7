"""What comes from others runs no code: no pickle, no evaluated text, no name in a shell, no formula in a cell."""

from __future__ import annotations

import ast
import csv
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from helpers import ROOT
from helpers.clones import Clone
from helpers.families import model

from earmark import predict
from earmark.config import ConfigError, RepresentationConfig, WaveformConfig, load
from earmark.errors import EarmarkError
from earmark.evaluation.examine import Examined
from earmark.evaluation.mistakes import Mistake
from earmark.storage import provenance
from earmark.storage.source import read_source
from earmark.training import checkpoints
from earmark.travel import command

# What runs code that a file holds. The processes that decode speak by pickles with the process that started them alone.
NAMES = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "jsonpickle"}
LOADERS = {"torch": {"load"}, "numpy": {"load"}, "yaml": {"load", "unsafe_load", "full_load", "Loader", "UnsafeLoader"}}
OF_HDF5 = {"special_dtype", "vlen_dtype", "ref_dtype", "regionref_dtype", "opaque_dtype"}  # objects within a data set
OWN_PIPE = "decode/worker.py"


def dangers(tree):
    """Yield what is dangerous in a module, with its line."""
    for node in ast.walk(tree):
        imported = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom) and node.module in LOADERS:  # by its own name a call would not be seen
            yield from ((f"{node.module}.{a.name}", node.lineno) for a in node.names if a.name in LOADERS[node.module])
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
        if called.rpartition(".")[2] in OF_HDF5:
            yield called, node.lineno
        if called in ("yaml.load", "yaml.unsafe_load", "yaml.full_load") and "_LOADER" not in ast.unparse(node):
            yield called, node.lineno


@pytest.mark.parametrize(
    "text",
    [
        "import pickle", "from joblib import load", "eval('1')", "exec(x)", "torch.load(p)",
        "torch.load(p, weights_only=False)", "trainer.fit(x, weights_only=False)", "np.load(p, allow_pickle=True)",
        "from torch import load", "from yaml import Loader", "h5py.vlen_dtype(str)", "import marshal",
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


SCRIPT = "import pathlib\npathlib.Path('ran').touch()\ndef encode(wave):\n    return [[0.0] * 7] * 8\n"


def hearing_through(path, file):
    """Write a model that hears through a file; its weights are what they may be."""
    heard = RepresentationConfig(kind="encoder", rate=16_000, samples=28_000, file=file, pooling="none")
    replace(model("linear", 8, 7, {}), representation=heard, frames=8).save(path)
    return path


def test_a_python_file_that_a_model_names_runs_only_if_params_yaml_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(SCRIPT)
    own = hearing_through(Path("m.safetensors"), "mine.py")
    outer = hearing_through(Path("outer.safetensors"), str(own))
    for file in (own, outer):
        with pytest.raises(EarmarkError, match=r"hears through the Python file mine\.py, which runs only if params"):
            predict.load(file)
    Path("folder").mkdir()
    hearing_through(Path("folder/model.safetensors"), "mine.py")
    with pytest.raises(EarmarkError, match=r"hears through the Python file mine\.py"):
        command.export(Path("params.yaml"), "folder", Path("data"), None, Path("m.pt2"), False)
    assert not Path("ran").exists()
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["encoders"] = {"mine": {"kind": "encoder", "rate": 16_000, "samples": 28_000, "file": "mine.py"}}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    assert predict.load(own).tags == predict.open_predictor(Path("params.yaml"), str(own), Path("data")).tags
    assert Path("ran").exists()


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


def templates(command: object) -> set[str]:
    return set(re.findall(r"\$\{([^}]+)\}", str(command)))


STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def test_what_dvc_puts_into_commands_is_known():
    """A name of an entry, or what names one, or a rate: each of them is judged (below) before anything runs."""
    used = {name: templates((stage.get("do") or stage)["cmd"]) for name, stage in STAGES.items()}
    assert set().union(*used.values()) == {"key", "item.rate", "item.representation", "item.labels"}
    each = {name: stage.get("foreach", stage.get("matrix")) for name, stage in STAGES.items() if used[name]}
    sections = set().union(*(templates(section) for section in each.values()))
    assert sections == {
        "labels", "waveforms", "representations", "encoders", "experiments", "crossvalidations"
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["x; touch X; #", "$(touch X)", "`touch X`", "a b", "a|b", "a\nb", "-x", "../x", "é", ""]
)
@pytest.mark.parametrize("section", ["labels", "waveforms", "representations", "encoders", "experiments",
                                     "crossvalidations", "fusions", "recipes"])  # fmt: skip
def test_a_name_that_a_shell_would_read_is_refused_in_every_section(tmp_path, section, text):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content[section] = {text: next(iter(content.get(section, {}).values()), {}), **content.get(section, {})}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=rf"params\.yaml: .*{section}\."):
        load(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["x; touch X; #", "$(touch X)", "16000; touch X", "-1"])
@pytest.mark.parametrize(
    ("section", "key"),
    [("representations", "rate"), ("experiments", "representation"), ("experiments", "labels"),
     ("experiments", "model")],
)  # fmt: skip
def test_a_value_that_reaches_a_command_is_one_of_those_that_are_known(tmp_path, section, key, text):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    next(iter(content[section].values()))[key] = text
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=rf"{section}\..*{key}"):
        load(tmp_path / "params.yaml")


def test_tables_for_people_hold_no_formula(tmp_path):
    """A tag, a file, an experiment and a layer may begin as a formula does; what the pipeline reads itself stays."""
    from earmark.decode.counts import counted
    from earmark.decode.index import Entry
    from earmark.embeddings.run import _list
    from earmark.probe.table import Row, Table

    found = dict.fromkeys(("segments", "padded", "silent", "clipped", "incomplete"), 0)
    entry = Entry("f", 0, found, [("=1", "+a.mp3", "too short")], {}, [("-1", "@b.mp3", "cut off")])
    counted({"s": entry}, 9, 16_000, WaveformConfig(samples=9, max_rejected=1), tmp_path, ())
    _list(tmp_path / "embed.csv", {"=a.mp3": "too short"})
    Table([Row("=layer", 1, 2, 0.5, 0.4, 0.6)], []).write(tmp_path / "probe.csv")
    files = sorted(tmp_path.glob("*.csv"))
    assert len(files) == 4
    for path in files:
        with path.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
        assert [cell for cell in cells if cell[:1] == "'"]


def test_cells_that_a_spreadsheet_would_compute_are_shown_as_they_are(tmp_path):
    mistake = Mistake("false positive", "7", "=HYPERLINK(1).mp3", "+song", "@tag", 0.5, 0.25, 0.1)
    Examined("x", 1, 1, [mistake], []).write(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as file:
        assert list(csv.reader(file))[1][:5] == ["false positive", "7", "'=HYPERLINK(1).mp3", "'+song", "'@tag"]
