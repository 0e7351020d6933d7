"""Tags of any audio file by a trained experiment: cut into segments, scored, averaged.

The check that the papers themselves make on songs from outside their data (Panwar et al., Fig. 6): a table of tags with
probability, predicted and, where the file is a labelled clip of the corpus, actual value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from earmark import representations, scoring
from earmark.audio import cut, decode_whole
from earmark.config import Config, ConfigError, load
from earmark.labels import read_labels
from earmark.manifest import read_manifest
from earmark.shards import ShardError
from earmark.standardize import Standardizer

MIN_SECONDS = 1.0
THRESHOLD = 0.5


@dataclass(frozen=True)
class Prediction:
    """What a model says of a file; ``actual`` is None where nobody has labelled it."""

    file: str
    seconds: float
    segments: int
    tags: tuple[str, ...]
    probabilities: NDArray[np.float64]
    actual: NDArray[np.uint8] | None

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """Which tags are at or above one half."""
        found: NDArray[np.bool_] = self.probabilities >= THRESHOLD
        return found

    @property
    def accuracy(self) -> float | None:
        """Share of the tags that are predicted as they are, None where nothing is known."""
        return None if self.actual is None else float((self.predicted == (self.actual > 0)).mean())

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON, tags by falling probability."""
        rows = [
            {"tag": self.tags[i], "probability": float(self.probabilities[i]), "predicted": bool(self.predicted[i])}
            | ({} if self.actual is None else {"actual": bool(self.actual[i])})
            for i in np.argsort(-self.probabilities, kind="stable")
        ]
        known = {} if self.accuracy is None else {"accuracy": self.accuracy}
        return {"file": self.file, "seconds": self.seconds, "segments": self.segments, "tags": rows} | known

    def table(self) -> str:
        """The same for a reader."""
        content = self.as_dict()
        width = max(map(len, self.tags))
        known = self.actual is not None
        lines = [
            f"{self.file}: {self.seconds:.1f} s in {self.segments} segment{'s' * (self.segments > 1)}",
            f"  {'tag':<{width}}  probability  predicted" + ("  actual" if known else ""),
        ]
        for row in content["tags"]:
            actual = f"  {'FT'[row['actual']]:>6}" if known else ""
            lines.append(f"  {row['tag']:<{width}}  {row['probability']:>11.3f}  {'FT'[row['predicted']]:>9}{actual}")
        if known:
            lines.append(f"  accuracy over {len(self.tags)} tags: {100 * content['accuracy']:.1f} %")
        return "\n".join(lines) + "\n"


class Predictor:
    """One trained experiment, used for many files."""

    def __init__(self, config: Config, experiment: str, data: Path) -> None:
        if experiment not in config.experiments:
            raise ConfigError(f"--model must be one of experiments {sorted(config.experiments)}, got {experiment!r}")
        settings = config.experiments[experiment]
        self.representation = config.representations[settings.representation]
        r = self.representation
        self.transform = representations.build(
            r.kind, rate=r.rate, n_samples=r.samples, name=settings.representation, **r.options()
        )
        folder = data / "models" / experiment
        for needed in (folder / "state.pt", folder / "training.json", data / "labels/labels.csv"):
            if not needed.is_file():
                raise ShardError(f"{needed} does not exist; run `dvc repro train@{experiment}`, or `dvc pull` it")
        self.moments = Standardizer.load(data / "standardize" / f"{settings.representation}.json")
        clips, table = read_labels(data / "labels/labels.csv")
        self.tags = table.tags
        labels = {clip.clip_id: values for clip, values in zip(clips, table.values, strict=True)}
        manifest = data / "corpus/manifest.csv"
        known = read_manifest(manifest) if manifest.is_file() else []
        self.labels = {clip.path: labels[clip.clip_id] for clip in known if clip.clip_id in labels}
        self.training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        system, frames, dims = settings.system or experiment, self.transform.n_frames, self.transform.n_dims
        self.model = scoring.load_model(system, folder / "state.pt", len(self.tags), frames, dims)

    def predict(self, path: Path) -> Prediction:
        """Score one file; RejectedError where it cannot be decoded or is shorter than a second."""
        wave = decode_whole(path, self.representation.rate, MIN_SECONDS)
        pieces = cut(wave, self.representation.samples, "segments")
        with torch.no_grad():
            features = self.transform(torch.from_numpy(pieces)).numpy()
        features = (features - self.moments.mean) * self.moments.inverse_std
        scores = scoring.score(
            self.model, torch.from_numpy(features), self.training["excerpt_frames"], self.training["excerpts"]
        )
        seconds = len(wave) / self.representation.rate
        return Prediction(str(path), seconds, len(pieces), self.tags, scores.mean(axis=0), self._actual(path))

    def _actual(self, path: Path) -> NDArray[np.uint8] | None:
        """The labels of a file that is a clip of the corpus: its path ends as the manifest's."""
        return self.labels.get("/".join(path.resolve().parts[-2:]))


def open_predictor(params: Path, model: str | None, data: Path) -> Predictor:
    """The experiment of that name, or the first one of params.yaml."""
    config = load(params)
    return Predictor(config, model or next(iter(config.experiments)), data)


def as_json(found: Sequence[Prediction], failed: dict[str, str]) -> str:
    """All predictions, and the files that had none with the reason."""
    rows = [prediction.as_dict() for prediction in found]
    return json.dumps(rows + [{"file": file, "error": reason} for file, reason in failed.items()], indent=2) + "\n"
