"""The report as one HTML file, which needs no network and no other file: what is in it, styles and script included.

It holds no time, no host and no path of the machine: equal results give equal bytes, because DVC hashes the file.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from earmark.report.parts import Section

FOLDER = Path(__file__).parent / "templates"
PAGE, PART, STYLE, SCRIPT = "report.html.j2", "part.html.j2", "style.css", "report.js"
MARK = "<!-- what changed since the last commit -->"


def document(project: str, sections: Sequence[Section]) -> str:
    """Return the page. project: its title. Every text is escaped, but the charts, which escape their own."""
    content = {"style": text_of(STYLE), "script": text_of(SCRIPT), "policy": policy(), "mark": MARK}
    return _rendered(PAGE, project=project, sections=sections, **content) + "\n"


def with_changes(page: str, changes: Section) -> str:
    """Return a page that ``document`` made with one more part: what differs from the last commit.

    It is put in when the page is served, because it depends on the day and not on what was measured.
    """
    before, mark, after = page.partition(MARK)
    return before + _rendered(PART, section=changes) + after if mark else page


def _rendered(template: str, **content: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template(template).render(**content)


def policy() -> str:
    """Return what a browser may load and run for the page: its own style and script, by their hashes, nothing else."""
    hashes = {
        name: base64.b64encode(hashlib.sha256(text_of(name).encode()).digest()).decode() for name in (STYLE, SCRIPT)
    }
    return f"default-src 'none'; style-src 'sha256-{hashes[STYLE]}'; script-src 'sha256-{hashes[SCRIPT]}'"


@cache
def text_of(name: str) -> str:
    """Return a file beside the template, with the line ends of every system."""
    return (FOLDER / name).read_text(encoding="utf-8")
