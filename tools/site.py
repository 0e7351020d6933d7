"""What mkdocs.yml asks for beyond docs/: the pages at the root of the project, and links that lead out of docs.

On a forge of git and on the site the same links must lead to the same things. Here they are rewritten: README.md,
CONTRIBUTING.md and CHANGELOG.md become pages, any other file that a page names is put beside them, under files/.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LIST = "decisions/index.md"
TARGET = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")


def on_config(config: Any) -> Any:
    """Fill the part of the navigation that has a line per file."""
    for part in config.nav:
        if "Decisions" in part:
            part["Decisions"] = [LIST, *(f"decisions/{file.name}" for file in _decisions())]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the root, the list of the decisions, and the files that pages name."""
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding="utf-8")))
    files.append(File.generated(config, LIST, content=_list_of_decisions()))
    for place in sorted(_named()):
        files.append(File.generated(config, _on_site(place), abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page, from where it lies in the project to where things lie on the site."""
    here = page.file.src_uri
    source = next((name for name, made in PAGES.items() if made == here), f"docs/{here}")

    def moved(link: re.Match[str]) -> str:
        place = _place(source, link[1])
        if place is None:
            return link[0]
        return posixpath.relpath(_on_site(place), posixpath.dirname(here) or ".") + (link[2] or "")

    return TARGET.sub(moved, markdown)


def _place(source: str, target: str) -> str | None:
    """Return the path in the project of what a page links to, or None if it is no file or folder of it."""
    if re.match(r"^[a-z]+:", target) or target.startswith("/"):
        return None
    place = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    return place if not place.startswith("..") and (ROOT / place).exists() else None


def _on_site(place: str) -> str:
    if place in PAGES:
        return PAGES[place]
    if place == "docs/decisions":
        return LIST
    if place.startswith("docs/"):
        return place.removeprefix("docs/")
    return "files/" + re.sub(r"(^|/)\.", r"\1", place)  # mkdocs leaves out names with a dot in front


def _named() -> set[str]:
    """Return the files outside of docs that pages link to."""
    sources = [ROOT / name for name in PAGES] + [*(ROOT / "docs").rglob("*.md")]
    found = set()
    for file in sources:
        source = file.relative_to(ROOT).as_posix()
        for link in TARGET.finditer(file.read_text(encoding="utf-8")):
            place = _place(source, link[1])
            if place and (ROOT / place).is_file() and _on_site(place).startswith("files/"):
                found.add(place)
    return found


def _decisions() -> list[Path]:
    return sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))


def _list_of_decisions() -> str:
    lines = ["# Decisions", "", "Why things are as they are, a page each.", ""]
    for file in _decisions():
        title = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({file.name})")
    return "\n".join(lines) + "\n"
