"""What is installed is known: constraints and hashes agree, licences are told, CI looks for known vulnerabilities."""

from __future__ import annotations

import contextlib
import importlib.util
import re
from importlib.metadata import PackageNotFoundError, metadata, version
from types import ModuleType

import yaml
from helpers import ROOT
from packaging.specifiers import SpecifierSet

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
BUILDS = {"setuptools"}  # what torch asks for, and what builds the wheel


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LICENCES, HASHES = tool("licences"), tool("lock")


def constrained() -> dict[str, str]:
    lines = [line for line in CONSTRAINTS.splitlines() if not line.startswith("#")]
    return {LICENCES.normal(name): version for name, version in (line.split("==") for line in lines)}


def locked() -> dict[str, list[str]]:
    """The hashes of every line of the lock, by name and version."""
    found = {}
    for pin in HASHES.PIN.finditer(LOCK):
        assert not pin["local"], "a build for one kind of machine"
        found[LICENCES.normal(pin["name"]), pin["version"]] = re.findall(r"sha256:(\w{64})", pin["hashes"])
    return found


def test_both_files_have_the_same_versions():
    versions = dict(locked())
    pins = {name: number for name, number in versions if name not in BUILDS}
    assert pins == constrained()


def test_every_pinned_version_runs_on_the_first_python_that_the_project_names():
    """Debian 12 has 3.11.2; where a version needs 3.11.5, nothing can be installed there."""
    told = re.search(
        r'^requires-python = ">=(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert told
    for name in constrained():
        with contextlib.suppress(PackageNotFoundError):  # of an extra that is not installed here, or of another system
            needed = metadata(name).get("Requires-Python") or ""
            assert SpecifierSet(needed).contains(f"{told[1]}.0"), f"{name} needs Python {needed}"


def test_every_line_of_the_lock_is_a_version_with_hashes_and_no_address():
    assert "//" not in LOCK
    assert "//" not in CONSTRAINTS
    rest = HASHES.PIN.sub("", "".join(line + "\n" for line in LOCK.splitlines() if not line.startswith("#")))
    assert not rest.split(), rest[:200]
    assert all(hashes == sorted(set(hashes)) for hashes in locked().values())


def test_a_build_for_the_cpu_gets_the_version_of_the_usual_one_and_both_hashes():
    text = f"a==1 \\\n    --hash=sha256:{'0' * 64}\ntorch==2.1.0+cpu \\\n    --hash=sha256:{'b' * 64}\n"
    made = HASHES.merged(text, {f"sha256:{'a' * 64}", f"sha256:{'c' * 64}"})
    (_, torch) = HASHES.PIN.finditer(made)
    assert torch["local"] is None
    assert [one[-1] for one in re.findall(r"sha256:\w+", torch["hashes"])] == ["a", "b", "c"]


def table() -> dict[str, tuple[str, str, str]]:
    """Version, licence and what asks for it, by package, as docs/licences.md tells."""
    text = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\| .*$", text, re.M)]
    assert all(len(row) == 4 for row in rows)
    return {name: (number, licence, groups) for name, number, licence, groups in rows[1:]}


def test_the_table_of_licences_has_what_is_installed():
    told, versions = table(), constrained()
    here = LICENCES.needed()
    assert {name for name, groups in here.items() if groups == {"default"}} <= set(told)
    for name, (number, licence, groups) in told.items():
        assert number == versions.get(name, number), name
        if name in here and version(name).partition("+")[0] == number:
            assert licence == LICENCES.licence(name), name
        if name in here:
            assert ("default" in here[name]) == (groups == "default"), name


def test_no_default_is_under_the_gpl():
    """Unless it may be had under another licence, or any program may be linked with it."""
    bound = []
    for name, (_, licence, groups) in table().items():
        choices = re.sub(r"[()]", "", licence).split(" OR ")
        free = [one for one in choices if not re.search(r"(?<!L)GPL", one) or "linking exception" in one]
        if groups == "default" and not free:
            bound.append((name, licence))
        assert licence != "not declared", name
    assert not bound
    assert {"mutagen"} == {name for name, row in table().items() if row[1].startswith("GPL") and row[2] == "tags"}


def test_ci_asks_for_known_vulnerabilities_and_installs_the_wheel_and_the_lock():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    lines = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    for wanted in ("pip-audit", "--require-hashes", "make sbom", "make docs", "pip wheel", "earmark --help"):
        assert wanted in lines
