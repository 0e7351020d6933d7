"""The sections of docs/corpora.md, followed on an imitation of their corpus."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from earmark.config import Config, load
from earmark.corpus.choose import choose_labels
from earmark.corpus.manifest import Clip, TagTable, read_manifest, read_tags
from earmark.corpus.read import read_corpus
from helpers import ROOT, imitations
from helpers.snippets import CORPORA, pasted, snippets

TEXT = CORPORA.read_text(encoding="utf-8")
HEADINGS = {match[1]: TEXT[: match.start()].count("\n") for match in re.finditer(r"^## (.+)$", TEXT, re.M)}
NAMES = [name for name in HEADINGS if name != "Another one"]


@dataclass(frozen=True)
class Section:
    """A section of the page: the code that it has the reader run, if there is any, and its settings."""

    name: str

    def _of_kind(self, kind: str) -> list[str]:
        start = HEADINGS[self.name]
        end = min((line for line in HEADINGS.values() if line > start), default=1 << 30)
        return [s.text for s in snippets([CORPORA]) if s.kind == kind and start < s.line <= end]

    @property
    def code(self) -> list[str]:
        return self._of_kind("python")

    @property
    def settings(self) -> str:
        (text,) = self._of_kind("yaml")
        return text

    def follow(self, folder: Path) -> Followed:
        """Lay out an imitation in ``folder``/data, run the code, and run the stages ``corpus`` and ``labels``."""
        getattr(imitations, re.sub(r"\W", "_", self.name.lower()))(folder / "data")
        return self.again(folder)

    def run(self, folder: Path, edits: Mapping[str, str] = MappingProxyType({})) -> None:
        """Run the code on what lies in ``folder``/data. edits: texts that occur once, and what takes their place."""
        for code in self.code:
            text = code
            for old, new in edits.items():
                assert text.count(old) == 1
                text = text.replace(old, new)
            assert '"/data/' in text
            here = text.replace('"/data/', f'"{folder.as_posix()}/data/')
            exec(compile(here, f"{CORPORA.name}: {self.name}", "exec"), {"__name__": "__main__"})

    def again(self, folder: Path) -> Followed:
        """Run code and stages on what lies there."""
        self.run(folder)
        params = folder / "params.yaml"
        settings = pasted((ROOT / "params.yaml").read_text(encoding="utf-8"), self.settings)
        params.write_text(settings.replace("/data/", f"{folder.as_posix()}/data/"), encoding="utf-8")
        read_corpus(params, folder / "corpus")
        choose_labels(
            params, "top50", folder / "corpus", folder / "labels.csv", folder / "labels.json", folder / "positives.csv"
        )
        return Followed(folder, load(params))


@dataclass(frozen=True)
class Followed:
    """What the stages have made of an imitation."""

    folder: Path
    config: Config

    @property
    def clips(self) -> list[Clip]:
        return read_manifest(self.folder / "corpus/manifest.csv")

    @property
    def table(self) -> TagTable:
        return read_tags(self.folder / "corpus/tags.csv")

    def tags(self, path: str) -> set[str]:
        """The tags of a clip, by its path."""
        table = self.table
        row = [clip.path for clip in self.clips].index(path)
        return {tag for tag, value in zip(table.tags, table.values[row], strict=True) if value}

    def by_path(self) -> dict[str, Clip]:
        return {clip.path: clip for clip in self.clips}

    @property
    def labels(self) -> dict[str, Any]:
        return json.loads((self.folder / "labels.json").read_text())
