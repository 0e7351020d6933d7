"""What loading and training take of the memory, measured by the resident set of this process."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.resident import resident
from torch import nn

from earmark.corpus.label_table import write_labels
from earmark.corpus.manifest import Clip, TagTable
from earmark.experiments import Recipe
from earmark.features.dataset import load_splits
from earmark.features.rows import StoredRows
from earmark.features.standardize import Standardizer
from earmark.storage import memory
from earmark.storage.shards import ShardWriter
from earmark.training import gradient

CLIPS, SHAPE = 2000, (100, 250)  # 200 MB
SIZE = CLIPS * 100 * 250 * 4
RESET = Path("/proc/self/clear_refs")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is reset by Linux alone")


def settled():
    """The resident set once what earlier tests freed is back with the system, which would hide as much of a growth."""
    gc.collect()
    memory.give_back()
    return resident("VmRSS")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    block = np.random.default_rng(1).standard_normal((100, *SHAPE), np.float32)
    for shard in range(4):
        with ShardWriter(folder / "f" / f"{shard}.h5", "features", CLIPS // 4, SHAPE, np.float32) as writer:
            for start in range(0, CLIPS // 4, 100):
                writer.append([f"{shard}-{start + i}" for i in range(100)], block)
    named = [Clip(f"{i % 4}-{i // 4}", "", "", str(i), "", "train" if i % 10 else "valid") for i in range(CLIPS)]
    tags = (np.arange(CLIPS) // 10 % 2).astype(np.uint8)[:, None]
    write_labels(folder / "labels.csv", named, TagTable(tuple(c.clip_id for c in named), ("a",), tags))
    Standardizer(np.zeros(250, np.float32), np.ones(250, np.float32), 1).save(folder / "s.json")
    return folder / "f", folder / "labels.csv", folder / "s.json"


def test_loading_into_memory_takes_the_data_and_a_tenth(given):
    load_splits(*given, ("train", "valid"), "disk")  # what is imported, opened and verified once
    before = settled()
    RESET.write_text("5", encoding="ascii")
    train, valid = load_splits(*given, ("train", "valid"), "memory")
    assert len(train.features) + len(valid.features) == CLIPS
    assert SIZE < resident("VmHWM") - before < 1.1 * SIZE


def test_features_of_four_times_the_limit_are_learnt_within_it(given, monkeypatch):
    monkeypatch.setenv("EARMARK_MEMORY", str(SIZE // 4))
    recipe = Recipe(optimizer="sgd", learning_rate=0.01, schedule="constant", batch=16, epochs=1, patience=1)

    def learn():
        train, valid = load_splits(*given, ("train", "valid"))
        assert isinstance(train.features, StoredRows)
        model = nn.Sequential(nn.Flatten(), nn.Linear(100 * 250, 1))
        return gradient.train(gradient.Task(model, recipe, 1, train, valid))

    learn()  # what torch and Lightning take once
    before = settled()
    RESET.write_text("5", encoding="ascii")
    learn()
    assert resident("VmHWM") - before < SIZE // 4
