"""The state of an unfinished training on disk: which run it belongs to, whether it is whole, and when it is deleted.

A run has a mark, the hash of everything that its result depends on. A folder of that name holds one file: after every
epoch the state to go on from, after the last one only what training has found. The file's name ends with the hash of
its bytes. It stays until the caller says that the model is safe (``forget``).
"""

from __future__ import annotations

import hashlib
import io
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from earmark.errors import naming
from earmark.features.dataset import Split
from earmark.files import put_in_place
from earmark.storage import provenance
from earmark.training import distributed

GOING_ON, FINISHED = "epoch", "finished"  # how the names of files begin
_ROWS = 64  # hashed at once


def mark(train: Split, valid: Split, **depends: object) -> str:
    """Return the mark of a run on these splits: a hash of every value in its order, and of all in ``depends``."""
    return provenance.fingerprint(
        tags=train.tags,
        clips=[[clip.clip_id for clip in split.clips] for split in (train, valid)],
        data=[told for split in (train, valid) for told in (_told(split), _hash(split.targets))],
        **depends,
    )


def _told(split: Split) -> str:
    """Return a hash of the features of a split: what their shards say, or that of the values if they say nothing."""
    if split.mark is not None:
        return split.mark
    assert isinstance(split.features, Tensor)  # what is read from shards has a mark
    return _hash(split.features)


def _hash(tensor: Tensor) -> str:
    """Return a hash of a tensor's shape, type and bytes; a contiguous tensor is not copied for it."""
    summary = hashlib.blake2b(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
    for start in range(0, len(tensor), _ROWS):
        summary.update(tensor[start : start + _ROWS].contiguous().numpy().data)
    return summary.hexdigest()


@dataclass(frozen=True)
class Found:
    """A checkpoint that belongs to a run and is whole; if ``finished``, the run is over and ``state`` is its result."""

    path: Path
    finished: bool
    state: Mapping[str, Any]


def find(folder: Path, fits: Callable[[bool, Mapping[str, Any]], str]) -> Found | None:
    """Return the checkpoint in the folder of a run, None if there is none.

    fits: a function of (finished, state) that returns why the state cannot be used, or nothing. A checkpoint that is
    damaged or does not fit is deleted, with a line on standard error. Those of other runs are deleted silently.
    """
    if distributed.is_main() and folder.parent.is_dir():
        for other in folder.parent.iterdir():
            if other.is_dir() and other != folder:
                shutil.rmtree(other, ignore_errors=True)
    for path in sorted(folder.glob("*.ckpt")):
        try:
            state = _read(path)
            finished = path.name.startswith(FINISHED)
            reason = fits(finished, state)
        except Exception as error:
            reason = str(error).split("\n")[0] or type(error).__name__
        if not reason:
            return Found(path, finished, state)
        if distributed.is_main():
            print(f"{path} is discarded, and training starts anew: {reason}", file=sys.stderr)
            path.unlink(missing_ok=True)
    return None


def _read(path: Path) -> Mapping[str, Any]:
    if path.stem.partition("-")[2] != _digest(path):
        raise ValueError("the file is damaged")
    return torch.load(path, map_location="cpu", weights_only=True)


def _digest(path: Path) -> str:
    with naming(path), path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:16]


def forget(folder: Path | None) -> None:
    """Delete all checkpoints of an experiment, because its model is safe."""
    if folder is not None and distributed.is_main():
        shutil.rmtree(folder, ignore_errors=True)


class Keeper(pl.Callback):
    """A callback that writes a checkpoint after every epoch: beside the one before, and then in its place.

    over: tells whether the epoch was the last of the run. found: returns the result of the run, and nothing else is
    written after the last epoch.
    """

    def __init__(self, folder: Path, over: Callable[[pl.Trainer], bool], found: Callable[[], dict[str, Any]]) -> None:
        self.folder, self.over, self.found = folder, over, found

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Write the state of this epoch; earlier callbacks have judged it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / "writing.tmp"
        over = self.over(trainer)
        if not over:
            with naming(temporary):
                trainer.save_checkpoint(temporary)  # all processes take part, the first one writes
        elif distributed.is_main():
            content = io.BytesIO()  # of a disk that is full torch says nothing that can be understood
            torch.save(self.found(), content)
            with naming(temporary):
                temporary.write_bytes(content.getbuffer())
        if distributed.is_main():
            seal(temporary, FINISHED if over else GOING_ON)


def seal(temporary: Path, kind: str) -> Path:
    """Give a written file its final name, and delete the checkpoints before it."""
    path = temporary.with_name(f"{kind}-{_digest(temporary)}.ckpt")
    put_in_place(temporary, path)
    for other in path.parent.glob("*.ckpt"):
        if other != path:
            other.unlink()
    return path


def misfit(expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> str:
    """Return why the weights ``got`` do not fit a network with the weights ``expected``, or nothing."""
    here, there = ({name: tuple(w.shape) for name, w in weights.items()} for weights in (expected, got))
    names: Sequence[str] = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    if not names:
        return ""
    first = names[0]
    return f"{first} must have the shape {here.get(first)}, got {there.get(first)}: it is of another network"
