"""The registry: a new kind of corpus needs one file in corpus/kinds, and generic code names no kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import ROOT
from helpers.own_code import Write
from helpers.own_code import write_own as write_own

from earmark.config import CorpusConfig
from earmark.corpus import kinds, published_counts, registry
from earmark.corpus.kinds import fma
from earmark.corpus.manifest import CorpusError
from earmark.corpus.read import read, verify
from earmark.storage import provenance

NEW = """
from earmark.corpus.rows import Row, tabulate

BROKEN = frozenset({"b.wav"})


def corpus(config):
    return tabulate(Row("here", name, ["x"], artist=name, split="train") for name in ("a.wav", "b.wav"))


def verify(config, clips, table):
    return [f"{len(clips)} clips, as published"]
"""


def config(kind: str, **more: object) -> CorpusConfig:
    return CorpusConfig.model_validate({"kind": kind, "audio": "audio", "annotations": "x", **more})


def test_the_kinds_are_the_files() -> None:
    files = {path.stem for path in Path(kinds.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(registry.kinds()) == files >= {"demo", "fma", "folders", "jamendo", "magnatagatune", "mirdata", "table"}


def test_a_new_file_is_a_new_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "corpus" / "kinds"
    folder.mkdir(parents=True)
    (folder / "own.py").write_text(NEW)
    (folder / "no_kind.py").write_text("def corpora(config): ...\n")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    monkeypatch.setattr(kinds, "__path__", [str(folder)])
    assert registry.kinds() == ["own"]
    own = config("own", split="panwar-random")
    clips, table = read(own)
    assert [clip.path for clip in clips] == ["a.wav", "b.wav"]
    assert clips[1].split == "train"  # broken files are not dealt
    assert table.tags == ("x",)
    assert registry.broken("own") == {"b.wav"}
    assert verify(own, clips, table) == ["2 clips, as published"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("config.audio.glob('*') + 1", r"mine\.py, line 2: TypeError: "),
        ("{}['tags']", r"mine\.py, line 2: KeyError: 'tags'"),
        ("None", r"mine\.py: TypeError: "),
    ],
)
def test_what_a_kind_of_ones_own_does_wrong_is_told_with_its_line(write_own: Write, body: str, told: str) -> None:
    write_own(f"def corpus(config):\n    return {body}\n", folder="corpus.kinds")
    with pytest.raises(CorpusError, match=rf"^corpus\.kind: mine: .*{told}") as refused:
        read(config("mine"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["demo", "fma", "folders", "jamendo", "magnatagatune", "mirdata", "table"])
def test_only_magnatagatune_and_fma_have_broken_files_and_only_the_former_published_counts(kind: str) -> None:
    broken = {"magnatagatune": published_counts.BROKEN, "fma": fma.BROKEN}
    assert registry.broken(kind) == broken.get(kind, frozenset())
    assert hasattr(registry.module(kind), "verify") == (kind == "magnatagatune")


def test_generic_code_names_no_corpus() -> None:
    """The configuration may: params.yaml has sections of some kinds."""
    generic = [*(ROOT / "src/earmark/decode").glob("*.py"), *(ROOT / "src/earmark/corpus").glob("*.py")]
    for file in generic:
        if file.name != "published_counts.py":
            code = " ".join(provenance.essence(file.read_text(encoding="utf-8")))
            assert not [
                kind for kind in ("magnatagatune", "jamendo", "folders", "fma", "mirdata") if f"kinds.{kind}" in code
            ]
            assert "BROKEN" not in code.replace('"BROKEN"', "")
