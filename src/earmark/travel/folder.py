"""The models in the folder of a trained experiment, wherever it lies: the only one, or one per seed."""

from __future__ import annotations

from pathlib import Path

from earmark.models.saved import FILE, SavedModel


def model_files(folder: Path) -> list[Path]:
    """Return the models of an experiment's folder: the only one, or one per seed, in the order of their numbers."""
    seeds = {int(path.parent.name.removeprefix("seed-")): path for path in folder.glob(f"seed-*/{FILE}")}
    return [seeds[seed] for seed in sorted(seeds)] or [folder / FILE]


def members(folder: Path) -> dict[str, Path]:
    """Return the models of an experiment's folder by the names that they have in a bundle.

    Raises ModelError if there is none, or if one is damaged.
    """
    files = model_files(folder)
    seeds = [SavedModel.load(file).training.get("seed", number) for number, file in enumerate(files, start=1)]
    return {f"seed-{seed}.safetensors": file for seed, file in zip(seeds, files, strict=True)}
