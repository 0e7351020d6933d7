"""`make lock`: requirements.lock, the versions of constraints.txt with the hashes of all their files.

pip-compile asks the index that pip is set up for, and no name of it is written. On Linux torch is its build for the
CPU, 2.13.0+cpu, which pip must see when the lock is made and when it is used: the usual build asks for CUDA's packages,
which no list here has. On macOS there is the usual one alone; its files are asked for one by one, and none is fetched.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
LOGGERS = {"tensorboard", "wandb", "mlflow"}  # whose many packages constraints.txt does not name
QUIET = (
    "--quiet", "--generate-hashes", "--allow-unsafe", "--strip-extras", "--no-header", "--no-annotate",
    "--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links",
)  # fmt: skip
HEAD = (
    "# Made by `make lock` of pyproject.toml and constraints.txt: all extras but the loggers, and the hashes of all\n"
    "# files of each version. pip install --require-hashes -r requirements.lock\n"
)
PIN = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[\w.!-]+)(?P<local>\+\w+)?(?P<hashes>(?: \\\n +--hash=sha256:\w{64})+)$", re.M
)


PYTHONS, SYSTEM = ("3.11", "3.12", "3.13"), "macosx_14_0_arm64"  # of torch's usual build


def compiled(extras: str) -> str:
    """Return what pip-compile makes of pyproject.toml with these extras."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.txt"
        line = [sys.executable, "-m", "piptools", "compile", *QUIET, "--constraint", str(ROOT / "constraints.txt")]
        subprocess.run([*line, "--extra", extras, "-o", str(out), str(ROOT / "pyproject.toml")], check=True)
        return out.read_text(encoding="utf-8")


def usual(version: str) -> set[str]:
    """Return the hashes of torch's usual build for SYSTEM; a Python that it has no file for has none."""
    found = set()
    for python in PYTHONS:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            line = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet"]
            line += ["--only-binary", ":all:", "--target", folder, "--python-version", python, "--platform", SYSTEM]
            done = subprocess.run([*line, "--report", str(report), f"torch==={version}"], check=False)
            if done.returncode == 0:
                (only,) = json.loads(report.read_text(encoding="utf-8"))["install"]
                found.add("sha256:" + only["download_info"]["archive_info"]["hashes"]["sha256"])
    return found


def merged(text: str, more: set[str]) -> str:
    """Return a lock without local versions; ``more``: further hashes of torch."""
    mine = next(found for found in PIN.finditer(text) if found["name"] == "torch")
    both = sorted({*re.findall(r"sha256:\w+", mine["hashes"]), *more})
    hashes = "".join(f" \\\n    --hash={one}" for one in both)
    return text.replace(mine[0], f"torch=={mine['version']}{hashes}")


def main() -> int:
    """Write requirements.lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = compiled(",".join(sorted(set(project["optional-dependencies"]) - LOGGERS)))
    version = next(found["version"] for found in PIN.finditer(text) if found["name"] == "torch")
    LOCK.write_text(HEAD + merged(text, usual(version)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
