"""The repository: what git says of it, how DVC links its cache, whether the remotes answer and are verified."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earmark.doctor.lines import Line

PATIENCE = 10.0  # seconds for a remote
LINKS = "dvc config cache.type hardlink,symlink"


def root_of(folder: Path) -> Path | None:
    """Return the folder that holds .dvc: this one or one above it; None if there is none."""
    inside = folder.resolve()
    return next((place for place in (inside, *inside.parents) if (place / ".dvc").is_dir()), None)


def git(folder: Path) -> Iterator[Line]:
    """Tell the branch and the commit, what is changed or in conflict, and whether the merge drivers are named."""
    done = _git(folder, "status", "--porcelain", "--branch")
    if done.returncode:
        yield Line("git", "warning", "no repository here: results cannot be compared with earlier ones", "git init")
        return
    branch, *changed = done.stdout.splitlines()
    name = branch.removeprefix("## ").partition("...")[0]
    commit = _git(folder, "rev-parse", "--short", "HEAD").stdout.strip() or "no commit"
    clash = [line[3:] for line in changed if "U" in line[:2] or line[:2] in ("AA", "DD")]
    if clash:
        text = f"{name}, {commit}; in conflict: {', '.join(clash[:5])}"
        yield Line("git", "error", text, "resolve it, and `git add` the files")
    else:
        yield Line("git", "ok", f"{name}, {commit}; {len(changed)} files changed or new")
    drivers = _git(folder, "config", "--get-regexp", r"^merge\.earmark-.*\.driver$").stdout.splitlines()
    used = folder / ".gitattributes"
    if not drivers and used.is_file() and "earmark-lock" in used.read_text(encoding="utf-8"):
        text = "this clone does not name the merge drivers of .gitattributes: dvc.lock would conflict"
        yield Line("git merge", "warning", text, "python -m earmark.merge install")


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, errors="backslashreplace")
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "git is not installed")


class Dvc:
    """DVC's view of a repository. Raises dvc.exceptions.DvcException if its configuration cannot be used."""

    def __init__(self, root: Path) -> None:
        from dvc.repo import Repo

        self.root, self.repo = root, Repo(str(root))
        self.link = self._link()

    def _link(self) -> str | None:
        """Return how an artefact comes from the cache into the workspace: the first configured way that works."""
        from dvc_objects.fs import generic

        cache, place = self.repo.cache.local, self.root / ".dvc/tmp/link"
        way = generic.test_links(list(cache.cache_types), cache.fs, cache.path, self.repo.fs, str(place))
        return str(way[0]) if way else None

    def cache(self) -> Iterator[Line]:
        """Tell where the cache lies, and how it is linked."""
        where = self.repo.cache.local.path
        asked = ", ".join(self.repo.cache.local.cache_types)
        if self.link is None:
            text = f"{where}: none of {asked} works from there to here"
            yield Line("DVC cache", "error", text, f"{LINKS},copy")
        elif self.link == "copy":
            yield Line("DVC cache", "warning", f"{where}, copied: every artefact takes its space twice", LINKS)
        else:
            yield Line("DVC cache", "ok", f"{where}, linked by {self.link}")

    def remotes(self) -> Iterator[Line]:
        """Tell of each remote whether it answers, and whether what comes from it is verified."""
        config = self.repo.config
        default = config["core"].get("remote")
        if not config["remote"]:
            yield Line("DVC remote", "ok", "none: artefacts stay on this machine (docs/team.md)")
        elif default is None:
            yield Line("DVC remote", "warning", "none is the default", f"dvc remote default {min(config['remote'])}")
        for name, about in config["remote"].items():
            told = f"{name}{' (default)' if name == default else ''}, {_public(about['url'])}"
            wrong = self._unreachable(name)
            if wrong is not None:
                mend = "see its address, what is mounted, and who may use it"
                yield Line("DVC remote", "warning", f"{told}: {wrong}", mend)
            elif not about.get("verify"):
                text = f"{told}: reachable, but what comes from it is not verified"
                yield Line("DVC remote", "warning", text, f"dvc remote modify {name} verify true")
            else:
                yield Line("DVC remote", "ok", f"{told}: reachable and verified")

    def _unreachable(self, name: str) -> str | None:
        """Return why a remote cannot be used, None if it answers in time."""
        found: list[str | None] = []

        def ask() -> None:
            found.append(_answer(self.repo, name))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(PATIENCE)
        return found[0] if found else f"no answer within {PATIENCE:.0f} s"


def _public(url: str) -> str:
    """Return an address without a name and a password that it may hold."""
    return re.sub(r"//[^/@]*@", "//", url)


def _answer(repo: Any, name: str) -> str | None:
    try:
        remote = repo.cloud.get_remote(name)
        there = remote.fs.exists(remote.path)
    except Exception as error:  # whatever its protocol and library raise is why it does not answer
        return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    if there or remote.fs.protocol != "local":  # elsewhere a place may begin to exist with what is put there
        return None
    return f"{remote.path} does not exist: no disk or share is mounted there, or nothing was pushed yet"
