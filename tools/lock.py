"""`make lock`: requirements.lock, the versions of constraints.txt with the hashes of all their files.

pip-compile asks the index that pip is set up for, and no name of it is written. torch is asked for twice: its build for
the CPU has a version of its own (2.13.0+cpu), which pip takes where it sees it, and its usual build another file.
"""

from __future__ import annotations

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


def compiled(source: Path, *more: str) -> str:
    """Return what pip-compile makes of a file of requirements."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.txt"
        line = [sys.executable, "-m", "piptools", "compile", *QUIET, *more, "-o", str(out), str(source)]
        subprocess.run(line, check=True, cwd=ROOT)
        return out.read_text(encoding="utf-8")


def merged(text: str, torch: str) -> str:
    """Return a lock without local versions; ``torch``: another one, whose hashes of torch are added."""
    (other,) = (found["hashes"] for found in PIN.finditer(torch) if found["name"] == "torch")
    mine = next(found for found in PIN.finditer(text) if found["name"] == "torch")
    both = sorted({*re.findall(r"sha256:\w+", mine["hashes"]), *re.findall(r"sha256:\w+", other)})
    hashes = "".join(f" \\\n    --hash={one}" for one in both)
    return text.replace(mine[0], f"torch=={mine['version']}{hashes}")


def main() -> int:
    """Write requirements.lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = ",".join(sorted(set(project["optional-dependencies"]) - LOGGERS))
    text = compiled(ROOT / "pyproject.toml", "--constraint", str(ROOT / "constraints.txt"), "--extra", extras)
    version = next(found["version"] for found in PIN.finditer(text) if found["name"] == "torch")
    with tempfile.TemporaryDirectory() as folder:
        only = Path(folder) / "torch.in"
        only.write_text(f"torch==={version}\n", encoding="utf-8")  # this text alone, without a local part
        torch = compiled(only)
    LOCK.write_text(HEAD + merged(text, torch), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
