"""Features are the same in memory, on disk and on a device; what cannot be read is named."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
import torch
from torch import nn

from earmark.corpus.label_table import write_labels
from earmark.corpus.manifest import Clip, TagTable
from earmark.errors import EarmarkError
from earmark.experiments import Recipe
from earmark.features import placing, rows
from earmark.features.dataset import Batches, Split, load, load_splits
from earmark.features.resident import Resident
from earmark.features.standardize import Standardizer, fit
from earmark.models.linear import LinearProbe
from earmark.storage.shards import ShardError, ShardWriter
from earmark.training import gradient

FRAMES, DIMS = 12, 5


def corpus(folder, dtype=np.float32, clips=30):
    """Write three shards, whose clips the labels have in another order, two of three for training."""
    draws = np.random.default_rng(1)
    order = draws.permutation(clips)
    values = (7 + 3 * draws.standard_normal((clips, FRAMES, DIMS))).astype(np.float32)
    for number, part in enumerate(np.array_split(order, 3)):
        with ShardWriter(folder / "f" / f"{number}.h5", "features", len(part), (FRAMES, DIMS), dtype) as writer:
            writer.append([str(i) for i in part], values[part])
    named = [Clip(str(i), "", "", f"song{i}", "", "valid" if i % 3 == 2 else "train") for i in range(clips)]
    tags = np.stack([values[:, :, 0].mean(1) > 7, values[:, 0, 1] > 7], 1).astype(np.uint8)
    write_labels(folder / "labels.csv", named, TagTable(tuple(map(str, range(clips))), ("mean", "first"), tags))
    fit(folder / "f", {c.clip_id for c in named if c.split == "train"}).save(folder / "s.json")
    return folder / "f", folder / "labels.csv", folder / "s.json"


def in_all_places(given):
    """Return the training split in memory, on disk, and as a device holds it."""
    memory, disk = (load(*given, "train", place) for place in ("memory", "disk"))
    assert isinstance(memory.features, torch.Tensor)
    on_device = Resident.of(disk.features, torch.device("cpu"))
    return memory, disk, Split(on_device, disk.targets, disk.clips, disk.tags, 0, disk.mark)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shown", [{}, {"frames": 4}, {"frames": 4, "n_places": 3}])
def test_batches_are_the_same_wherever_features_are_held(tmp_path, dtype, shown):
    memory, *others = in_all_places(corpus(tmp_path, dtype))
    assert isinstance(others[1].features, Resident if dtype == np.float16 else torch.Tensor)
    expected = list(Batches(memory, 8, seed=3, **shown))
    assert len({tuple(features.shape) for features, _ in expected}) <= 2
    for other in others:
        found = list(Batches(other, 8, seed=3, **shown))
        assert len(found) == len(expected)
        for (ours, ours_t), (theirs, theirs_t) in zip(found, expected, strict=True):
            assert torch.equal(ours, theirs)
            assert torch.equal(ours_t, theirs_t)
        assert torch.equal(other.features[:7], memory.features[:7])
        assert torch.equal(other.features[2:9, :5], memory.features[2:9, :5])
        assert torch.equal(other.features[torch.tensor([5, 0, 5])], memory.features[[5, 0, 5]])


def test_weights_are_the_same_wherever_features_are_held(tmp_path):
    given = corpus(tmp_path)
    recipe = Recipe(
        optimizer="adam", learning_rate=0.01, schedule="constant", batch=8, epochs=3, patience=3, mixup=0.4, jitter=0.1,
        excerpt=0.5,
    )  # fmt: skip
    found = []
    for place in ("memory", "disk"):
        train, valid = load_splits(*given, ("train", "valid"), place)
        torch.manual_seed(1)
        model = nn.Sequential(nn.Flatten(), nn.Linear(FRAMES // 2 * DIMS, 2))
        learnt = gradient.train(gradient.Task(model, recipe, 1, train, valid))
        found.append((learnt.curves, model.state_dict(), gradient.Task(model, recipe, 1, train, valid).mark()))
    assert found[0][0] == found[1][0]
    assert found[0][2] == found[1][2]
    assert all(torch.equal(found[0][1][key], found[1][1][key]) for key in found[0][1])


def test_a_model_that_fits_itself_hears_what_is_on_disk(tmp_path):
    memory, disk, _ = in_all_places(corpus(tmp_path))
    weights = []
    for split in (memory, disk):
        model = LinearProbe(2, FRAMES, DIMS, strengths=[0.1])
        model.fit((split.features, split.targets), (split.features, split.targets), lambda *_: 1.0)
        weights.append(model.linear.weight)
    assert torch.equal(*weights)


def test_what_a_batch_shows_is_all_that_is_read(tmp_path, monkeypatch):
    split = load(*corpus(tmp_path), "train", "disk")
    read = []
    plain = rows._fill
    monkeypatch.setattr(rows, "_fill", lambda d, target, where: read.append(target.nbytes) or plain(d, target, where))
    batches = Batches(split, 4, seed=1, frames=3, share=lambda: slice(1, None, 2))
    shown, targets = batches[0]
    assert shown.shape == (2, 3, DIMS)
    assert len(targets) == 2
    assert batches.clips(0) == 4
    assert sum(read) == 2 * 3 * DIMS * 4


@pytest.mark.parametrize("fault", ["truncated", "rewritten", "gone"])
def test_a_shard_that_changes_while_it_is_read_is_named_with_its_clip(tmp_path, fault):
    features, *others = corpus(tmp_path)
    split = load(features, *others, "train", "disk")
    shard = split.features.stored[0].path
    if fault == "truncated":
        about = shard.stat()
        with shard.open("r+b") as file:
            file.truncate(split.features.stored[0].offset)
        os.utime(shard, ns=(about.st_atime_ns, about.st_mtime_ns))
    elif fault == "rewritten":
        os.utime(shard, ns=(0, 0))
    else:
        shard.unlink()
    with pytest.raises(ShardError, match="second run goes on after the last full epoch") as caught:
        list(Batches(split, 8, seed=1))
    assert str(shard) in str(caught.value)
    if fault == "gone":
        held = [c for c, s in zip(split.features.names, split.features.of_shard, strict=True) if s == 0]
        assert re.search(r"clip (\d+) cannot be read \(No such file", str(caught.value))[1] in held


def test_a_read_that_comes_back_short_is_an_error_and_not_a_row(tmp_path):
    path = tmp_path / "short"
    path.write_bytes(bytes(10))
    with path.open("rb") as file, pytest.raises(OSError, match="the file ends 6 bytes too early"):
        rows._fill(file.fileno(), np.empty(4, np.float32), 0)


def test_the_place_follows_the_limit_and_is_told(tmp_path, monkeypatch, capsys):
    given = corpus(tmp_path)
    size = 30 * FRAMES * DIMS * 4
    for limit, held in ((size, torch.Tensor), (size - 1, rows.StoredRows)):
        monkeypatch.setenv("EARMARK_MEMORY", str(limit))
        for split in load_splits(*given, ("train", "valid"), told="train x"):
            assert isinstance(split.features, held)
        assert "train x: 30 rows of features, 0.00 GB, are" in capsys.readouterr().out
    monkeypatch.setenv("EARMARK_MEMORY", str(size))
    two = load_splits(*given, ("train",), processes=2)[0]
    assert isinstance(two.features, rows.StoredRows)
    monkeypatch.delenv("EARMARK_MEMORY")
    monkeypatch.setattr(placing.memory, "available", lambda: size)
    assert placing.choose(two.features) == "disk"
    monkeypatch.setattr(placing.memory, "available", lambda: 2 * size)
    assert placing.choose(two.features) == "memory"


@pytest.mark.parametrize("nonsense", ["lots", "-1", "0", "1 parsec", "1e9", "NaN", "99999999TB"])
def test_a_limit_that_is_no_size_is_refused(tmp_path, monkeypatch, nonsense):
    monkeypatch.setenv("EARMARK_MEMORY", nonsense)
    with pytest.raises(EarmarkError, match="EARMARK_MEMORY must be a size in bytes, such as 24GB or 512MiB, got"):
        load(*corpus(tmp_path), "train")


@pytest.mark.parametrize(("text", "size"), [("512MiB", 2**29), ("1.5 gb", 1_500_000_000), ("7", 7)])
def test_sizes_have_units(monkeypatch, text, size):
    monkeypatch.setenv("EARMARK_MEMORY", text)
    assert placing.size_of("EARMARK_MEMORY") == size


def test_a_mark_changes_with_values_rows_and_standardizer(tmp_path):
    given = corpus(tmp_path)
    mark = load(*given, "train").mark
    assert load(*given, "train", "disk").mark == mark
    assert load(*given, "valid").mark != mark
    Standardizer(np.zeros(DIMS, np.float32), np.ones(DIMS, np.float32), 1).save(tmp_path / "other.json")
    assert load(given[0], given[1], tmp_path / "other.json", "train").mark != mark
    with ShardWriter(given[0] / "0.h5", "features", 10, (FRAMES, DIMS), np.float32) as writer:
        ids = [str(i) for i in np.random.default_rng(1).permutation(30)[:10]]
        writer.append(ids, np.ones((10, FRAMES, DIMS), np.float32))
    assert load(*given, "train").mark != mark


def test_only_what_fits_goes_to_a_device():
    features, meta = torch.zeros(4, 5, 6), torch.device("meta")
    assert placing.resident(features, torch.device("cpu"), 10**9) is features
    assert placing.resident(features, meta, 2 * features.nbytes).device == meta
    assert placing.resident(features, meta, 2 * features.nbytes - 1) is features
