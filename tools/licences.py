"""Write docs/licences.md: every dependency, its version and licence, and what asks for it, from what is installed."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
# Of licences that say less than their packages do, or say it at length, the short name, read in the package itself.
READ = {
    "grandalf": "EPL-1.0 OR GPL-2.0-only",  # "GPLv2 | EPLv1"
    "pygit2": "GPL-2.0-only with linking exception",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",  # "Dual License"
}
SHORT = {
    "Apache 2.0": "Apache-2.0", "Apache License 2.0": "Apache-2.0", "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0", "Apache Software License 2.0": "Apache-2.0", "Apache-2": "Apache-2.0",
    "Apache License Version 2.0": "Apache-2.0", "Apache 2": "Apache-2.0",
    "BSD License": "BSD", "BSD 3-Clause": "BSD-3-Clause", "BSD 3-Clause License": "BSD-3-Clause",
    "New BSD": "BSD-3-Clause", "3-Clause BSD License": "BSD-3-Clause", "Modified BSD": "BSD-3-Clause",
    "MIT License": "MIT", "The MIT License": "MIT", "Expat License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0", "MPL2": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0", "ISC License (ISCL)": "ISC",
}  # fmt: skip
HEAD = """# Licences of the dependencies

What `make setup` installs, at the versions of constraints.txt, and the licences that the packages declare. `default`:
`pip install earmark` brings it; otherwise the extras that ask for it. `python tools/licences.py` writes this page.

No package of the default set is under the GPL alone, with one exception that was read: pygit2, which DVC uses for git,
is under the GPL 2 **with a linking exception** that lets any program use it unchanged. Where `OR` stands, the user
chooses. soxr is under the LGPL, as is libsndfile, which soundfile brings. mutagen (`tags`) is under the GPL, and so
never a default; hadolint (`test`) is a program that tests start. The MPL asks for changes of its own files alone.

"""


def needed() -> dict[str, set[str]]:
    """Return the installed packages, by their normal names, each with `default` or the extras that lead to it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"default": project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, set[str]] = {}
    for group, lines in groups.items():
        todo, seen = [Requirement(line) for line in lines], set[tuple[str, frozenset[str]]]()
        while todo:
            asked = todo.pop()
            key = normal(asked.name), frozenset(asked.extras)
            if key in seen:
                continue
            seen.add(key)
            try:
                requires = distribution(asked.name).requires or ()
            except PackageNotFoundError:  # of another system or Python, or of an extra that is not installed
                continue
            found.setdefault(key[0], set()).add(group)
            inner = map(Requirement, requires)
            todo += [one for one in inner if wanted(one, asked.extras)]
    return {name: {"default"} if "default" in groups else groups for name, groups in sorted(found.items())}


def wanted(requirement: Requirement, extras: set[str]) -> bool:
    """Return whether a requirement holds here, for a package that was asked for with these extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def normal(name: str) -> str:
    """Return a package's name as indexes compare it.

    >>> normal("ruamel.yaml_X")
    'ruamel-yaml-x'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(name: str) -> str:
    """Return the licence that an installed package declares, as an SPDX expression if it has one."""
    if name in READ:
        return READ[name]
    about = distribution(name).metadata
    declared = about.get("License-Expression") or ""
    if not declared:
        said = (about.get("License") or "").strip()
        rows = [row.rpartition(" :: ")[2] for row in about.get_all("Classifier") or () if row.startswith("License ::")]
        of_classifiers = " OR ".join(SHORT.get(row, row) for row in rows if row != "OSI Approved")
        short = "" if "\n" in said or len(said) > 40 or said.upper() in ("UNKNOWN", "") else said
        declared = short or of_classifiers or said.partition("\n")[0]
    return SHORT.get(declared, declared) or "not declared"


def rows() -> list[tuple[str, str, str, str]]:
    """Return (package, version, licence, asked for by) of every dependency."""
    found = needed()
    return [
        (name, distribution(name).version.partition("+")[0], licence(name), ", ".join(sorted(groups)))
        for name, groups in found.items()
    ]


def page() -> str:
    """Return the page."""
    lines = ["| package | version | licence | asked for by |", "|---|---|---|---|"]
    return HEAD + "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows()]) + "\n"


if __name__ == "__main__":
    (ROOT / "docs/licences.md").write_text(page(), encoding="utf-8")
    sys.exit(0)
