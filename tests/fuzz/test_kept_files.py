"""Files that the pipeline keeps, changed at random: refused by their names, or read as they were written."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.encoders import encoder, export, waves
from helpers.encoders import saved as write_saved
from helpers.mutation import OF_TEXTS, WAYS, mutated, times

from earmark.corpus.label_table import Labelled, read_labels, write_labels
from earmark.corpus.manifest import Clip, TagTable, read_manifest, read_tags, write_manifest, write_tags
from earmark.decode.index import Entry, Index
from earmark.errors import EarmarkError
from earmark.evaluation.scoring import read_scores, write_scores
from earmark.features.dataset import Split
from earmark.features.standardize import Standardizer
from earmark.models.saved import SavedModel
from earmark.report import tables
from earmark.storage import shards
from earmark.storage.shards import ShardWriter, open_shard
from earmark.training import checkpoints
from earmark.travel import bundle
from earmark.travel.card import card, describe

CLIPS = [
    Clip(str(i), f"f/{i}.mp3", "f", f"song {i // 2}", f"artist {i // 4}", ("train", "valid", "test")[i % 3])
    for i in range(24)
]
TABLE = TagTable(
    tuple(clip.clip_id for clip in CLIPS), ("piano", "drums", "slow, sad"),
    np.random.default_rng(0).integers(0, 2, (24, 3), np.uint8),
)  # fmt: skip
SCORED = Split(
    torch.zeros(3, 1, 1), torch.zeros(3, 2), tuple(Labelled(str(i), "a", "x", "test") for i in range(3)), ("p", "q"), 0
)


@dataclass
class Kept:
    """A kind of file. sealed: it carries a checksum, so that other values are never taken. short, long: how often."""

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], Any]
    sealed: bool = True
    short: int = 30
    long: int = 2_000
    ways: tuple[Any, ...] = WAYS


def shard(kind: str, dtype: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        rows = np.random.default_rng(0).standard_normal((40, 5, 3) if kind == "features" else (40, 90))
        rows = (3000 * rows).astype(np.int16) if dtype == "int16" else rows.astype(np.float32)
        with ShardWriter(path, kind, 40, rows.shape[1:], dtype) as writer:
            writer.append([f"clip {i}" for i in range(40)], rows)
            writer.axes = {"hz": np.arange(3.0)}
            writer.attributes = {"fingerprint": "f", "config": {"kind": "mel"}, "makers": {"torch": "2"}}

    return write


def rows_of(kind: str) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        shards._VERIFIED.clear()  # as in a new process
        with open_shard(path) as file:
            axes = {name: np.asarray(file["axes"][name]).tolist() for name in file["axes"]}
            return file[kind][:].tolist(), file["clip_id"][:].tolist(), axes, dict(file.attrs)

    return read


def standardizer(path: Path) -> None:
    Standardizer(np.linspace(-1, 9, 20, dtype=np.float32), np.ones(20, np.float32), 7).save(path)


def index(path: Path) -> None:
    entry = Entry("ab" * 32, 3, {"clips": 3}, [("1", "a.mp3", "too short")], {"soxr": "1"}, [], "0" * 48)
    Index({"samples": 9}, "c" * 64, {"rock": entry, "jazz": entry}).write(path.parent)


def waveform_index(path: Path) -> Any:
    return Index.read(path.parent)


def bundled(path: Path) -> None:
    write_saved(path.with_name("m.safetensors"), layers=1, units=8, cell="gru")
    about = describe([SavedModel.load(path.with_name("m.safetensors"))], "demo", "CC0", {}, {})
    bundle.write(path, {"seed-1.safetensors": path.with_name("m.safetensors")}, about, card(about))


def unbundled(path: Path) -> Any:
    folder = path.with_name("opened")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    found = bundle.read(path, folder)
    return json.dumps(dict(found.about), sort_keys=True), found.card, [_values(model) for model in found.models]


def _values(model: SavedModel) -> Any:
    return model.tags, model.network, {name: weight.tolist() for name, weight in model.weights.items()}


def model(path: Path) -> None:
    write_saved(path, layers=1, units=8, cell="gru")


def checkpoint(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    torch.save({"state_dict": {"a": torch.arange(500.0)}, "epoch": 3}, path.with_name("writing.tmp"))
    checkpoints.seal(path.with_name("writing.tmp"), checkpoints.GOING_ON).rename(path)


def resumed(path: Path) -> Any:
    """What a damaged checkpoint is: discarded, with a line that names it."""
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        found = checkpoints.find(path.parent, lambda *_: "")
    if found is None:
        raise EarmarkError(told.getvalue())
    return found.state["state_dict"]["a"].tolist(), found.state["epoch"]


def metrics(path: Path) -> None:
    for folder in ("experiments", "details"):
        shutil.copytree(Path(__file__).parents[2] / "metrics" / folder, path.parents[1] / folder, dirs_exist_ok=True)


def table_of(path: Path) -> Any:
    return tables.experiments(path.parents[1], ["linear"])


def scored(path: Path) -> None:
    write_scores(path, SCORED, np.arange(12).reshape(2, 3, 2) / 12, (1, 2))


def onnx(path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    network = torch.nn.Sequential(torch.nn.Unflatten(1, (1, 4_000)), torch.nn.Conv1d(1, 4, 400, 400))
    export(network, torch.zeros(1, 4_000), path)


def heard(path: Path) -> Any:
    return encoder(path, pooling="none")(waves(1)).tolist()


KEPT = [
    Kept("f.h5", shard("features", "float32"), rows_of("features"), long=5_000),
    Kept("h.h5", shard("features", "float16"), rows_of("features"), long=1_000),
    Kept("w.h5", shard("waveform", "int16"), rows_of("waveform"), long=4_000),
    Kept("s.json", standardizer, lambda p: Standardizer.load(p).mean.tolist(), ways=OF_TEXTS),
    Kept("i/index.json", index, waveform_index, ways=OF_TEXTS),
    Kept("experiments/linear.json", metrics, table_of, sealed=False, ways=OF_TEXTS),
    Kept("details/linear.json", metrics, table_of, sealed=False, ways=OF_TEXTS),
    Kept("x.earmark", bundled, unbundled),
    Kept("m.safetensors", model, lambda p: _values(SavedModel.load(p))),
    Kept("n.onnx", onnx, heard, sealed=False),  # somebody else's, and so without a checksum of ours
    Kept("c/epoch-0123456789abcdef.ckpt", checkpoint, resumed),
    Kept("labels.csv", lambda p: write_labels(p, CLIPS, TABLE), lambda p: _comparable(read_labels(p)), ways=OF_TEXTS),
    Kept("scores.csv", scored, lambda p: _scores(p), ways=OF_TEXTS),
    Kept("manifest.csv", lambda p: write_manifest(p, CLIPS), read_manifest, ways=OF_TEXTS),
    Kept("tags.csv", lambda p: write_tags(p, TABLE), lambda p: _comparable((0, read_tags(p))), ways=OF_TEXTS),
]  # fmt: skip


def _comparable(found: tuple[Any, TagTable]) -> Any:
    return found[0], found[1].clip_ids, found[1].tags, found[1].values.tolist()


def _scores(path: Path) -> Any:
    found = read_scores(path)
    return found.clip_ids, found.tags, found.seeds, found.values.tolist()


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
def test_a_damaged_file_is_refused_by_its_name_or_read_as_it_was(kept, tmp_path):
    path = tmp_path / kept.name
    path.parent.mkdir(exist_ok=True)
    kept.write(path)
    content = path.read_bytes()
    if path.suffix == ".ckpt":  # its name holds its digest
        path = path.rename(path.with_name(f"epoch-{checkpoints._digest(path)}.ckpt"))
    expected = kept.read(path)
    found = Counter[str]()
    bad = []
    for number in range(times(kept.short, kept.long)):
        damaged, done = mutated(content, f"{kept.name} {number}", kept.ways)
        path.write_bytes(damaged)
        try:
            outcome = "same" if kept.read(path) == expected else "other"
        except EarmarkError as error:
            named = path.name in str(error) or str(path.parent) in str(error)
            outcome = "refused" if named else f"unnamed: {error}"
        except Exception as error:
            outcome = f"raw: {type(error).__name__}: {str(error)[:300]}"
        found[outcome.partition(":")[0]] += 1
        if outcome not in ("same", "refused") and (outcome != "other" or kept.sealed):
            bad.append((number, outcome, done))
    if log := os.environ.get("TORTURE_LOG"):
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kept.name, "counts": found, "bad": bad[:100]}) + "\n")
    assert not bad, f"{dict(found)}: " + "\n".join(map(repr, bad[:6]))
