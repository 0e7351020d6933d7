"""`earmark bundle` and `earmark export`: an experiment leaves the repository."""

from __future__ import annotations

from pathlib import Path

from earmark.config import Config, ConfigError, load
from earmark.errors import EarmarkError
from earmark.evaluation.details import read_metrics
from earmark.models.saved import FILE, ModelError, SavedModel, model_folders
from earmark.representations import scripts
from earmark.sections import near
from earmark.travel import bundle, graphs
from earmark.travel.card import card, describe
from earmark.travel.folder import members


def write_bundle(params: Path, experiment: str, data: Path, out: Path, licence: str) -> str:
    """Write the models of an experiment into a bundle, and return what to tell the user.

    experiment: one of params.yaml, or the folder of a trained one. Of a folder from elsewhere nobody here knows the
    corpus and the figures, so that its card tells none.

    Raises ConfigError if there is no such experiment, ModelError if it was not trained, BundleError if it hears through
    what cannot travel.
    """
    config, files = _chosen(params, experiment, data)
    models = [SavedModel.load(file) for file in files.values()]
    name = models[0].experiment
    metrics, counts = _measured(params.parent, name) if config else ({}, {})
    corpus = (config.corpus.name or config.corpus.kind) if config else "not stated"
    about = describe(models, corpus, licence, metrics, counts)
    bundle.write(out, files, about, card(about))
    size = out.stat().st_size / 1e6
    several = "s" * (len(models) > 1)
    return f"{out}: {size:.1f} MB, {len(models)} model{several} of {name}, {len(models[0].tags)} tags\n"


def export(params: Path, experiment: str, data: Path, onnx: Path | None, torch: Path | None, wave: bool) -> str:
    """Write the model of an experiment's first seed as graphs, and return what to tell the user.

    Raises ExportError if it cannot be written so.
    """
    if onnx is None and torch is None:
        raise EarmarkError("name what to write: --onnx FILE, --torch FILE, or both")
    _, files = _chosen(params, experiment, data)
    first = next(iter(files.values()))
    saved = SavedModel.load(first)
    scripts.require_own(saved.representation, str(first), params)
    lines = [f"{first} of {len(files)} seeds\n"] if len(files) > 1 else []
    heard = saved.representation
    for out, kind in ((onnx, "ONNX"), (torch, "torch.export")):
        if out is None:
            continue
        far = graphs.to_onnx(saved, out, wave) if kind == "ONNX" else graphs.to_torch(saved, out)
        shape = f"wave (clips, {heard.samples}), mono at {heard.rate} Hz"
        if kind == "ONNX" and not wave:
            shape = f"features (clips, {saved.frames}, {saved.dims}) of {heard.kind}"
        lines.append(
            f"{out}: {kind}, {out.stat().st_size / 1e6:.1f} MB, from {shape} to probabilities "
            f"(clips, {len(saved.tags)}); within {far:.1g} of the model\n"
        )
    return "".join(lines)


def _chosen(params: Path, experiment: str, data: Path) -> tuple[Config | None, dict[str, Path]]:
    """Return the files of the models that are named, and params.yaml; that is None for a folder from elsewhere."""
    folder = Path(experiment)
    if folder.is_dir() and not params.is_file():
        return None, members(folder)
    config = load(params)
    if folder.is_dir() and experiment not in config.experiments:
        experiment = folder.resolve().name
        if experiment not in config.experiments or folder.resolve() != (data / "models" / experiment).resolve():
            return None, members(folder)
    return config, _models(config, experiment, data)


def _models(config: Config, experiment: str, data: Path) -> dict[str, Path]:
    """Return the files of an experiment's models, by the names that they have in a bundle."""
    if experiment not in config.experiments:
        known = ", ".join(sorted(config.experiments)) or "none"
        raise ConfigError(
            f"there is no experiment {experiment!r}{near(experiment, config.experiments)}; there are {known}"
        )
    seeds = config.experiments[experiment].seeds
    folders = model_folders(data / "models" / experiment, seeds)
    files = {f"seed-{seed}.safetensors": folder / FILE for seed, folder in folders.items()}
    for file in files.values():
        if not file.is_file():
            raise ModelError(f"{file} does not exist; run `dvc repro train@{experiment}`, or `dvc pull` it")
    return files


def _measured(root: Path, experiment: str) -> tuple[dict[str, float], dict[str, int]]:
    """Return the headline figures of an experiment and the counts of its test split, empty if it was not evaluated."""
    try:
        metrics = read_metrics(root / "metrics/experiments" / f"{experiment}.json")
        test = read_metrics(root / "metrics/details" / f"{experiment}.json")["test"]
    except (EarmarkError, KeyError):
        return {}, {}
    return dict(metrics), {key: test[key] for key in ("clips", "songs")}
