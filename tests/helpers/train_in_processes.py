"""Run by test_distributed.py, in one process or several: train a network without dropout and write what it learnt."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import nn

from earmark.corpus.label_table import Labelled
from earmark.experiments import Recipe
from earmark.features.dataset import Split
from earmark.training import distributed, gradient


def split(clips: int, seed: int) -> Split:
    features = torch.randn(clips, 4, 3, generator=torch.Generator().manual_seed(seed))
    targets = torch.stack([features.mean((1, 2)) > 0, features[:, 0, 0] > 0], 1).float()
    who = tuple(Labelled(str(i), f"song{i}", "artist", "train") for i in range(clips))
    return Split(features, targets, who, ("sum", "first"), 0)


def main() -> None:
    out = Path(sys.argv[1])
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 2))
    # 27 clips in batches of 7 and 6: the processes have unequal shares
    recipe = Recipe(optimizer="adam", learning_rate=1e-2, batch=8, epochs=3, patience=4, mixup=0.3, jitter=0.2)
    task = gradient.Task(model, recipe, 5, split(27, 0), split(30, 1))
    curves = gradient.train(task, out / "checkpoints").curves
    (out / f"rank-{torch.distributed.get_rank() if torch.distributed.is_initialized() else 0}").touch()
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
    if not distributed.is_main():
        return
    with (out / "writers").open("a") as file:
        file.write("one more\n")
    torch.save(model.state_dict(), out / "state.pt")
    result = {
        "curves": curves,
        "processes": len(list(out.glob("rank-*"))),
        "writers": len((out / "writers").read_text().splitlines()),
    }
    (out / "result.json").write_text(json.dumps(result))


main()
