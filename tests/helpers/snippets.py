"""The snippets of README.md and docs: what is written there, of which kind it is, and the commands in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers import ROOT

GUIDE = sorted((ROOT / "docs/guide").glob("*.md"))  # tests/test_guide.py runs these
CORPORA = ROOT / "docs/corpora.md"  # tests/test_corpora.py runs this one
DAY = ROOT / "docs/research.md"  # minutes, on the demo: tests/test_guide.py and test_sweeps.py run the same steps
PAGES = [ROOT / "README.md", *sorted(set((ROOT / "docs").rglob("*.md")) - {*GUIDE, CORPORA, DAY})]
PROMPT = re.compile(r"^(?:\w+)?\$ ")
SECTIONS = {
    "corpus",
    "labels",
    "waveforms",
    "representations",
    "recipes",
    "experiments",
    "crossvalidations",
    "fusions",
    "evaluation",
}
PICTURES = {  # indented blocks that are nothing to paste, by their first line
    "settings -> code, demo -> corpus -> labels": "the graph of the stages",
    "first layer    3 (512 D + 512² + 512)     = 1536 D + 787,968": "a formula",
}


@dataclass(frozen=True)
class Snippet:
    """A block of a page; ``kind`` is the language of its fence, or what an indented one looks like."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command line of a console snippet, joined where it goes on in the next lines, and what it printed."""

    snippet: Snippet
    line: str
    output: str

    def __str__(self) -> str:
        return f"{self.snippet}: {self.line.splitlines()[0][:40]}"


def snippets(pages: Sequence[Path] = PAGES) -> Iterator[Snippet]:
    for page in pages:
        yield from _of(page)


def _of(page: Path) -> Iterator[Snippet]:
    name, lines = page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8").split("\n")
    number, in_list = 0, False
    while number < len(lines):
        line = lines[number]
        if fence := re.match(r"^(\s*)```(\S*)\s*$", line):
            end = next(i for i in range(number + 1, len(lines)) if lines[i].strip() == "```")
            text = "\n".join(one.removeprefix(fence[1]) for one in lines[number + 1 : end])
            yield Snippet(name, number + 1, fence[2] or "no language", text + "\n")
            number = end + 1
            continue
        if line.startswith("    ") and not in_list and not lines[number - 1].strip():
            end = number
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            text = "\n".join(one[4:] for one in lines[number:end]).strip("\n") + "\n"
            yield Snippet(name, number + 1, _looks_like(text), text)
            number = end
            continue
        if line.strip():
            in_list = bool(re.match(r"^\s*([-*]|\d+\.) ", line)) or (in_list and line.startswith(" "))
        number += 1


def _looks_like(text: str) -> str:
    """The kind of an indented block, which has no fence to tell."""
    first = text.split("\n", 1)[0].strip()
    if first in PICTURES:
        return "picture"
    if PROMPT.match(text):
        return "console"
    if first.startswith("make "):
        return "sh"
    if (key := re.match(r"^(\w+):", text)) and key[1] in SECTIONS:
        return "yaml"
    return "unknown"


def commands(snippet: Snippet) -> list[Command]:
    """The command lines of a console or shell snippet."""
    if snippet.kind == "sh":
        return [Command(snippet, line, "") for line in snippet.text.splitlines() if line.strip()]
    found: list[tuple[str, list[str]]] = []
    for line in snippet.text.splitlines():
        if prompt := PROMPT.match(line):
            found.append((line[prompt.end() :], []))
        elif line.startswith(">") and found and not found[-1][1]:
            found[-1] = (found[-1][0] + "\n" + line[1:].removeprefix(" "), [])
        else:
            found[-1][1].append(line)
    return [Command(snippet, line, "\n".join(output)) for line, output in found]


def pasted(settings: str, snippet: str) -> str:
    """The text of params.yaml with the sections of a snippet in place of its own; a new section at the end."""
    text = settings.rstrip("\n") + "\n"
    for block in re.split(r"^(?=\w+:)", snippet, flags=re.M):
        if key := re.match(r"^(\w+):", block):
            own = re.compile(rf"^{key[1]}:.*\n(?:[ \t#].*\n|\n(?=[ \t]))*", re.M)
            block = block.rstrip("\n") + "\n"
            text = own.sub(lambda _, b=block: b, text) if own.search(text) else text + "\n" + block
    return text


def readme_lines() -> str:
    """The lines of Python on README's first screen."""
    found: str = re.search(r"^```python\n(import earmark\n.*?)^```$", PAGES[0].read_text(), re.M | re.S).group(1)  # type: ignore[union-attr]
    return found
