"""What stops a stage is found by `earmark corpus check`: a tiny corpus for every error that data can raise."""

from __future__ import annotations

import ast
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from helpers.corpora import HEADER, write
from helpers.tiny_corpora import RATE, ROWS, Tiny

from earmark.cli import main
from earmark.corpus.manifest import Clip, TagTable
from earmark.errors import EarmarkError
from earmark.storage import provenance
from earmark.training import foreseen, validation

MTT = "clip_id\tpop\tmp3_path\n"


class Case(NamedTuple):
    """An error: the function that raises it, what it says, and what brings it about."""

    raised_by: str
    says: str
    edit: Callable[[Tiny], object]


def table(*lines):
    return lambda tiny: tiny.table("path,tags,artist,split", *lines)


def rows(change):
    """The table with the rows that ``change`` makes of the cells of each."""
    return table(*(",".join(change(*row)) for row in ROWS))


def sound(*rejected):
    """The corpus with files of some splits that are no audio, however many may be."""

    def edit(tiny):
        tiny.settings["waveforms"][str(RATE)]["max_rejected"] = 1
        for path, _, _, split in ROWS:
            if split in rejected:
                (tiny.audio / path).write_bytes(b"no music")

    return edit


def folded(edit=lambda _: None, **settings):
    """A cross-validation with these settings beside two classes and two folds, and no experiment."""

    def both(tiny):
        edit(tiny)
        two = {"representation": "mel", "labels": "top", "model": "linear", "classes": ["piano", "drums"], "folds": 2}
        tiny.settings["crossvalidations"], tiny.settings["experiments"] = {"two": two | settings}, {}
        tiny.settings["labels"]["top"]["top"] = 9

    return both


def synonyms(text):
    def edit(tiny):
        tiny.settings["labels"]["top"]["synonyms"] = str(write(tiny.folder / "groups.yaml", text))

    return edit


def a_batch_of_one(tiny):
    """Seven training clips in batches of two, for a network with batch norm."""
    rows(lambda path, tag, artist, split: (path, tag, artist, "valid" if path == ROWS[0][0] else split))(tiny)
    tiny.settings["recipes"]["short"]["batch"] = 2
    network = {"representation": "mel", "labels": "top", "model": "recurrent", "recipe": "short"}
    tiny.settings["experiments"]["gru"] = network | {"network": {"cell": "bn-lstm", "layers": 1, "units": 4}}


def unheard_harp(tiny):
    """The clips of one class are no audio."""
    harps = ROWS[0][0], ROWS[5][0]
    rows(lambda path, tag, artist, split: (path, "harp" if path in harps else tag, artist, split))(tiny)
    sound()(tiny)
    for path in harps:
        (tiny.audio / path).write_bytes(b"no music")


def named_in_latin_1(tiny):
    tiny.kind("folders")
    shutil.copy(tiny.audio / ROWS[0][0], os.fsencode(tiny.audio / "f") + b"/Caf\xe9.wav")


def with_a_line_end(tiny):
    tiny.kind("folders")
    shutil.copy(tiny.audio / ROWS[0][0], tiny.audio / "f/a\nb.wav")


def no_music_but_backslashes(tiny):
    table("f\\9.wav,x,a,train")(tiny)
    shutil.rmtree(tiny.audio)


def without_tags(tiny):
    rows(lambda path, _, artist, split: (path, "", artist, split))(tiny)
    tiny.settings["labels"]["top"]["clean"] = True


ROW = "1\t0\t0/x-0-29.mp3\n"
LOUD = rows(lambda path, tag, artist, split: (path, f"{tag}|loud", artist, split))
OF_FOUR = (0, 1, 2, 3, 2, 3, 3, 0, 3, 0, 2, 0)  # one fold takes three of these artists
FOUR_ARTISTS = rows(lambda path, tag, _, split: (path, tag, f"{OF_FOUR[int(path[2:-4])]}", split))
ONE_PIANO = rows(lambda path, _, artist, split: (path, "piano" if path == ROWS[1][0] else "drums", artist, split))
SIX_TAGS = rows(lambda path, _, artist, split: (path, "abcdef"[int(path[2:-4]) // 2], artist, split))

CASES = [
    Case("text.read_text", "does not exist", lambda t: (t.folder / "table.csv").unlink()),
    Case("text.read_text", "cannot be read: Is a directory", lambda t: t.kind("table", t.audio)),
    Case("text.read_text", "is not UTF-8 at byte 3, in line 1",
         lambda t: (t.folder / "table.csv").write_bytes(b"Caf\xe9")),
    Case("text.lines", "line 3: a NUL byte", table("f/0.wav,x,a,train", "f/2.w\0av,x,a,train")),
    Case("text.csv_rows", "lines 2 to 3: a cell goes over", table('f/0.wav,"x,a,train', 'f/2.wav,x",a,train')),
    Case("text.csv_rows", "line 3: a quotation mark inside", table("f/0.wav,x,a,train", 'f/2.wav,x"y,a,train')),
    Case("text.csv_rows", "line 2: unexpected end of data", table('f/0.wav,"x,a,train', "f/2.wav,x,a,train")),
    Case("text.csv_records", "column 'path' is missing", lambda t: t.table("file,tags", "f/0.wav,x")),
    Case("text.csv_records", "column 'mood' is none of", lambda t: t.table("path,tags,mood", "f/0.wav,x,y")),
    Case("text.csv_records", "'tags' stands in the header more", lambda t: t.table("path,tags,tags", "f/0.wav,,")),
    Case("text.csv_records", "line 2: 4 columns expected, got 2", table("f/0.wav,x")),
    Case("rows.tabulate audio_folder.safe", "must lie inside the audio folder", table("../0.wav,x,a,train")),
    Case("rows.tabulate audio_folder.safe audio_folder._safe", "have forward slashes", no_music_but_backslashes),
    Case("rows.tabulate audio_folder.safe", "is not UTF-8; rename", named_in_latin_1),
    Case("rows.tabulate audio_folder.safe", "has a line end", with_a_line_end),
    Case("rows.tabulate audio_folder.safe", "at most 255 bytes long, got 304", table(f"{'x' * 300}.wav,x,a,train")),
    Case("rows.tabulate rows._clip", "stands in", table("f/0.wav,x,a,train", "f/0.wav,x,a,train")),
    Case("rows.tabulate rows._clip", "split must be one of train, valid, test", table("f/0.wav,x,a,dev")),
    Case("rows.tabulate", "the corpus has no clip", table()),
    Case("audio_folder.tell", "none of its 1 paths is below", table("f/0.mp3,x,a,train")),
    Case("folders.read", "holds no folder with audio", lambda t: (t.folders(), shutil.rmtree(t.audio))),
    Case("folders._split_lists", "is in train and in test", lambda t: t.folders(train="f/0.wav", test="f/0.wav")),
    Case("folders._artists", "got 3 cells; a name with a comma", lambda t: t.folders(artists="f/0.wav,Simon, Paul")),
    Case("folders._artists", "is by 'Bob', but", lambda t: t.folders(artists="f/0.wav,Ann\nf/0.wav,Bob")),
    Case("jamendo._rows", "the columns must be", lambda t: t.jamendo("path\ttags\n")),
    Case("jamendo._rows", "line 2: 6 columns or more expected", lambda t: t.jamendo(HEADER + "one\ttwo\n")),
    Case("magnatagatune.read", "no folder with MP3 files", lambda t: t.kind("magnatagatune")),
    Case("magnatagatune.read", "clip_id 1 stands in line 2", lambda t: t.mtat(MTT + 2 * ROW)),
    Case("magnatagatune.read", "no clip below the header", lambda t: t.mtat(MTT)),
    Case("magnatagatune._rows", "columns must be clip_id", lambda t: t.mtat("id\tpop\tmp3_path\n")),
    Case("magnatagatune._rows", "got 'pop' twice", lambda t: t.mtat("clip_id\tpop\tpop\tmp3_path\n")),
    Case("magnatagatune._rows", "3 columns expected, got 2", lambda t: t.mtat(MTT + "1\t0/x-0-29.mp3\n")),
    Case("magnatagatune._clip", "must be <folder>/<name>.mp3", lambda t: t.mtat(MTT + "1\t0\tx.mp3\n")),
    Case("magnatagatune._clip", "must be one of 0-9 a-f", lambda t: t.mtat(MTT + "1\t0\tg/x.mp3\n")),
    Case("magnatagatune._binary", "must be 0 or 1, got '2'", lambda t: t.mtat(MTT + "1\t2\t0/x-0-29.mp3\n")),
    Case("choose.choose_labels labels.read_synonyms", "groups.yaml", synonyms("[")),
    Case("choose.choose_labels labels.read_synonyms", "must be a list of groups", synonyms("piano")),
    Case("choose.choose_labels labels.read_synonyms", "in more than one place", synonyms("[[drums, x], [drums, y]]")),
    Case("choose.choose_labels labels.merge", "'pinao' of the group", synonyms("[[piano, pinao]]")),
    Case("choose.choose_labels labels.require_splits", "the test split has no clip left",
         rows(lambda path, tag, artist, split: (path, tag, artist, "train" if split == "test" else split))),
    Case("choose.choose_labels labels.require_splits", "the corpus has no tag at all", without_tags),
    Case("decode/counts.counted", "max_rejected=0.02 of 12 clips, got 1 rejected",
         lambda t: (t.audio / ROWS[0][0]).write_bytes(b"")),
    Case("standardize.fit", "none of the 8 training clips", sound("train")),
    Case("dataset.load_splits", "of the valid split", sound("valid")),
    Case("dataset.load_splits", "of the test split", sound("test")),
    Case("metrics.require_defined", "of 2 tags on 2 clips none has both",
         rows(lambda path, tag, artist, split: (path, "piano" if split == "valid" else tag, artist, split))),
    Case("metrics.require_defined", "of 2 tags on 2 clips none has both",
         rows(lambda path, tag, artist, split: (path, "piano" if split == "test" else tag, artist, split))),
    Case("metrics.require_defined", "of 1 tags on 2 clips none has both",
         rows(lambda path, _, artist, split: (path, "piano", artist, split))),
    Case("plan.build", "experiments.linear: there must be at least one tag to learn, got 0",
         rows(lambda path, _, artist, split: (path, "", artist, split))),
    Case("validation.require_batches", "for 7 training clips, of which the smallest batch holds 1", a_batch_of_one),
    Case("crossvalidation.classify", "must be tags of the corpus, got 'pinao'", folded(classes=["pinao", "drums"])),
    Case("crossvalidation.classify", "no clip has 'loud' and no other class",
         folded(LOUD, classes=["loud", "piano", "drums"])),
    Case("crossvalidation._read", "no clip has 'harp' and no other class",
         folded(unheard_harp, classes=["piano", "drums", "harp"])),
    Case("crossvalidation.parts_of", "groups 'artist': fold 0 of 2 must leave two", folded(FOUR_ARTISTS)),
    Case("crossvalidation.require_groups", "at most half the number of groups, got 4 for 6", folded(folds=4)),
    Case("crossvalidation.parts_of", "must be of two classes at least", folded(ONE_PIANO)),
    Case("crossvalidation._split", "but the largest has 2", folded(SIX_TAGS, folds=3, classes=list("abcdef"))),
]  # fmt: skip

# Functions of the stages that raise errors of their own, and why no corpus brings these about.
ELSEWHERE = {
    "read.read": "code of a kind of one's own fails, which the check runs, too",
    "demo.corpus": "the demo is not rendered: tests/decode/test_check.py",
    "published_counts.verify": "the check calls it: tests/corpus/test_published_counts.py",
    "jamendo._found": "another folder is named as the music: tests/corpus/kinds/test_jamendo.py",
    "folders.read": "a folder that this user may not enter: tests/corpus/kinds/test_folders.py",
    "jamendo.read": "params.yaml has one of the subsets, or is refused before",
    "manifest.binary": "a table of the pipeline is damaged", "manifest._from_numbers": "so is this one",
    "manifest._numbers": "and this one",
    "manifest.require_clips": "and this one", "manifest.require_ids": "and this one",
    "label_table.read_labels": "and this one",
    "manifest.read_manifest": "and this one", "decode/corpus._digest": "a disk fails: tests/test_disturbed.py",
    "decode/corpus._decode": "so does this one: tests/decode/test_corpus.py",
    "standardize._vector": "a file of the pipeline is damaged", "standardize.require_dims": "so is this one",
    "standardize._standardized": "a representation's own axis",
    "standardize.load": "a file of the pipeline is damaged", "dataset.origin": "a shard is damaged",
    "dataset._origin_of": "a shard is of an older version", "fit.fit": "training diverged",
    "fit._require_same": "DVC runs the stages in their order",
    "distributed.weight_of_share": "below, without processes",
    "text.read_text": "its last one is of a path with a NUL, which params.yaml may not hold",
    "validation._require_memory": "settings",
    "metrics.check_finite": "training diverged", "plan.build": "settings, but for the tags",
    "plan.frames": "settings", "plan.require_logits": "a network's own code", "plan.tried": "a network's own code",
    "validation._read": "settings: the check calls `require`", "validation._judged": "settings",
    "validation._require_split": "settings", "validation._require_one": "settings",
}  # fmt: skip
LOOKED_THROUGH = ("corpus/**/*.py", "decode/corpus.py", "decode/counts.py",
                  "features/standardize.py", "features/dataset.py",
                  "training/fit.py", "training/crossvalidation.py", "training/validation.py",
                  "training/plan.py", "training/distributed.py", "evaluation/metrics.py")  # fmt: skip


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Tiny(tmp_path)


def checked(tiny, capsys):
    """The exit code of the check, and what it says would stop the pipeline."""
    capsys.readouterr()
    code = main(["corpus", "check", "--params", str(tiny.write_settings())])
    shown = capsys.readouterr().out
    return code, shown.partition("stops the pipeline: ")[2]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.raised_by.split()[-1]}: {case.says}"[:60])
def test_what_stops_a_stage_is_found_by_the_check(tiny, capsys, case):
    case.edit(tiny)
    with pytest.raises(EarmarkError) as stopped:
        tiny.stages()
    assert case.says in str(stopped.value)
    frame = next(entry for entry in reversed(stopped.traceback) if provenance.PACKAGE in Path(entry.path).parents)
    module, _, function = case.raised_by.split()[0].rpartition(".")
    assert (Path(frame.path).stem, frame.name) == (Path(module).stem, function)
    code, stops = checked(tiny, capsys)
    assert code == 1
    assert case.says in stops


def test_every_error_that_a_stage_raises_has_a_corpus_here_or_a_reason_why_not():
    raised, shown = Counter(), Counter(name for case in CASES for name in case.raised_by.split())
    for pattern in LOOKED_THROUGH:
        for file in provenance.PACKAGE.glob(pattern):
            for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(function, ast.FunctionDef):
                    folder = "decode/" if file.parent.name == "decode" else ""
                    errors = sum(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(function))
                    raised[f"{folder}{file.stem}.{function.name}"] += errors
    # The tables of these two are not ours to damage; the check reads them as the stage does (their own tests).
    raised = Counter({name: n for name, n in raised.items() if not name.startswith(("fma.", "mirdata."))})
    lacking = {name: n for name, n in raised.items() if n > shown[name] and name not in ELSEWHERE}
    assert not lacking, "errors without a corpus that shows the check finds them"
    assert {*shown, *ELSEWHERE} <= {name for name, n in raised.items() if n}


def test_a_corpus_that_no_stage_refuses_passes(tiny, capsys):
    linear = tiny.settings["experiments"]
    folded()(tiny)
    tiny.settings["experiments"] = linear
    tiny.stages()
    assert checked(tiny, capsys) == (0, "")


def test_a_batch_that_has_no_clip_for_each_process_is_found(tiny, monkeypatch):
    a_batch_of_one(tiny)
    monkeypatch.setenv("EARMARK_DEVICES", "2")
    clips = [
        Clip(f"{i}", f"{i}", "s", f"{i}", f"{i}", split) for i, split in enumerate(["train"] * 7 + ["valid", "test"])
    ]
    ids = tuple(clip.clip_id for clip in clips)
    config = validation.load(tiny.write_settings())
    tags = TagTable(ids, ("piano",), np.zeros((9, 1), np.uint8))
    found = foreseen.stops(config, {"top": (clips, tags)}, {RATE: frozenset(ids)})
    assert "experiments.gru.batch: a batch must hold a clip for each of 2 processes" in "\n".join(found)
