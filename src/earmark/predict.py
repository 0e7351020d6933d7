"""The tags of any audio file by a trained model.

The file passes through the same functions as the clips of the corpus, and its scores are averaged over its segments.
The file of the model says how. params.yaml only names the default model, and the folder of the corpus: if the file is a
labelled clip of it, its actual tags are shown, too. Papers check songs from outside of their data in the same way
(Panwar et al., Fig. 6).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark import pickles, representations
from earmark.config import Config, ConfigError
from earmark.config import load as read_config
from earmark.corpus.label_table import read_labels
from earmark.corpus.manifest import read_manifest
from earmark.evaluation import scoring
from earmark.features.listener import Listener
from earmark.features.segments import Decoded
from earmark.models.saved import FILE, ModelError, SavedModel
from earmark.sections import near
from earmark.storage import provenance
from earmark.weights import registry

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Prediction:
    """What a model says about a file.

    seconds, segments: of the file. probabilities, predicted: (tags,). actual: (tags,) in {0, 1}, None if the file is
    not a labelled clip of the corpus. incomplete: what the file lacks, or empty.
    """

    file: str
    seconds: float
    segments: int
    tags: tuple[str, ...]
    probabilities: NDArray[np.float64]
    predicted: NDArray[np.bool_]
    actual: NDArray[np.uint8] | None
    incomplete: str = ""

    @property
    def accuracy(self) -> float | None:
        """The share of the tags that are predicted correctly, None if the actual tags are unknown."""
        return None if self.actual is None else float((self.predicted == (self.actual > 0)).mean())

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON, with the most probable tag first."""
        rows = [
            {"tag": self.tags[i], "probability": float(self.probabilities[i]), "predicted": bool(self.predicted[i])}
            | ({} if self.actual is None else {"actual": bool(self.actual[i])})
            for i in np.argsort(-self.probabilities, kind="stable")
        ]
        known = {} if self.accuracy is None else {"accuracy": self.accuracy}
        about = {"file": self.file, "seconds": self.seconds, "segments": self.segments}
        return about | ({"incomplete": self.incomplete} if self.incomplete else {}) | {"tags": rows} | known

    def table(self) -> str:
        """Return it as a table for the terminal."""
        content = self.as_dict()
        width = max(map(len, self.tags))
        known = self.actual is not None
        lines = [
            f"{self.file}: {self.seconds:.1f} s in {self.segments} segment{'s' * (self.segments > 1)}"
            + (f"; {self.incomplete}" if self.incomplete else ""),
            f"  {'tag':<{width}}  probability  predicted" + ("  actual" if known else ""),
        ]
        for row in content["tags"]:
            actual = f"  {'FT'[row['actual']]:>6}" if known else ""
            lines.append(f"  {row['tag']:<{width}}  {row['probability']:>11.3f}  {'FT'[row['predicted']]:>9}{actual}")
        if known:
            lines.append(f"  accuracy over {len(self.tags)} tags: {100 * content['accuracy']:.1f} %")
        return "\n".join(lines) + "\n"


class Predictor:
    """A trained model, for any number of audio files.

    labels: (tags,) of the clips of a corpus, by the resolved paths of their files. If the code of the representation
    has changed since the model was trained, a warning says so.
    """

    def __init__(self, saved: SavedModel, labels: Mapping[Path, NDArray[np.uint8]] | None = None) -> None:
        self.saved, self.labels = saved, labels or {}
        window = saved.training["excerpt_frames"] if saved.training.get("whole_file") else None
        self.listener = Listener(saved.representation, saved.waveform, saved.standardizer, window)
        self.model = saved.build()
        kind = saved.representation.kind
        code = saved.code.get("features")  # weights that were not trained here have none
        if code is not None and code != provenance.digest(representations.consumer(saved.representation)):
            print(
                f"warning: the code of {kind} has changed since {saved.experiment!r} was trained: features, and so "
                "probabilities, may differ from the pipeline's",
                file=sys.stderr,
            )

    @property
    def tags(self) -> tuple[str, ...]:
        """The names of the tags, in the order of the probabilities."""
        return self.saved.tags

    def predict(self, path: str | Path) -> Prediction:
        """Return the probability of every tag for an audio file of any length, and which tags are predicted.

        Raises RejectedError if the file cannot be decoded, or is shorter than the pipeline accepts.
        """
        return self.predict_blocks(Path(path))

    def predict_blocks(self, path: Path, blocks: Decoded | None = None) -> Prediction:
        """Return what ``predict`` returns; blocks: of the file, if some have been decoded already."""
        hearing = self.listener.hearing(path, blocks)
        exclusive = self.saved.exclusive
        rows = [scoring.score(self.model, batch.features, *self.excerpts, exclusive=exclusive) for batch in hearing]
        segments = np.concatenate(rows)
        scores, actual = segments.mean(axis=0), self.labels.get(path.resolve())
        predicted = self._predicted(scores)
        about = str(path), hearing.seconds, len(segments)
        return Prediction(*about, self.tags, scores, predicted, actual, hearing.incomplete)

    def embed(self, path: str | Path) -> NDArray[np.float32]:
        """Return the embedding of an audio file, (width,): the input of the network's last linear layer.

        It is averaged over the same excerpts and segments as the scores of ``predict``. The width depends on the
        network: 512 for ``scat-5l-512h-gru``. The embedding of the linear probe is its standardised means and
        deviations.

        Raises RejectedError as ``predict`` does, and ValueError if the network runs no linear layer.
        """
        hearing = self.listener.hearing(Path(path))
        parts = [scoring.embed(self.model, batch.features, *self.excerpts) for batch in hearing]
        if hearing.incomplete:
            print(f"warning: {path}: {hearing.incomplete}", file=sys.stderr)
        return np.concatenate(parts).mean(axis=0)

    @property
    def excerpts(self) -> tuple[int, int]:
        """The frames that the network sees at one time, and how many such excerpts of a segment are averaged."""
        return self.saved.training["excerpt_frames"], self.saved.training["excerpts"]

    def _predicted(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which tags are at or above their thresholds; of exclusive classes, only the most probable one."""
        if self.saved.exclusive:
            return np.arange(len(scores)) == scores.argmax()
        return scores >= self.saved.decisive


def load(path: str | Path) -> Predictor:
    """Open a trained model: the folder of an experiment (``data/models/NAME``), or a ``model.safetensors`` file.

    The name of published weights, such as ``musicnn-mtt``, is looked for in ``data/weights``.

    Raises ModelError if the file is absent, damaged or something else.
    """
    if str(path) in registry.WEIGHTS and not Path(path).exists():
        path = _named(str(path), Path("data"), ())
    path = Path(path)
    pickles.refuse(path)
    return Predictor(SavedModel.load(path if path.is_file() or path.suffix == SUFFIX else model_file(path)))


def model_file(folder: Path) -> Path:
    """Return the model of an experiment's folder; if it was trained from several seeds, that of the lowest one."""
    seeds = {int(path.parent.name.removeprefix("seed-")): path for path in folder.glob(f"seed-*/{FILE}")}
    return seeds[min(seeds)] if seeds else folder / FILE


def open_predictor(params: Path, model: str | None, data: Path) -> Predictor:
    """Open the model of an experiment or of published weights under ``data``, or of a file.

    By default it is that of the first experiment in params.yaml.

    Without a params.yaml a model must be named, and no actual tags are known. Raises ConfigError if there is no such
    experiment, ModelError if its model cannot be used.
    """
    config = read_config(params) if params.is_file() else None
    file = locate(config, params, model, data)
    saved = SavedModel.load(file)
    return Predictor(saved, None if config is None else corpus_labels(config, data, saved.tags))


def locate(config: Config | None, params: Path, model: str | None, data: Path) -> Path:
    """Return the file of the model that ``open_predictor`` opens; config: what ``params`` holds, None without it.

    Raises ConfigError and ModelError as ``open_predictor`` does; a file that is named as such need not be there.
    """
    if model is None and config is None:
        raise ConfigError(f"{params} does not exist; name a model by --model, or run it where params.yaml is")
    name = model or next(iter(config.experiments if config else ()), None)
    if name is None:
        raise ConfigError(f"{params} has no experiments; name a model by --model")
    known = () if config is None else tuple(config.experiments)
    file = _named(name, data, known)
    if config is not None and not file.is_file() and name not in known:
        hint = near(name, [*known, *registry.WEIGHTS])
        raise ConfigError(f"--model must be one of experiments {sorted(known)} or a file, got {name!r}{hint}")
    return file


def _named(name: str, data: Path, experiments: Sequence[str]) -> Path:
    """Return the file that a name stands for. Raises EarmarkError if it is a pickle, or weights that are not there."""
    path = Path(name)
    pickles.refuse(path)
    weights = registry.WEIGHTS.get(path.stem if path.suffix == SUFFIX else name)
    if weights is None or name in experiments:
        return path if path.suffix == SUFFIX else model_file(data / "models" / name)
    file = path if path.suffix == SUFFIX else registry.place(data / "weights", name)
    if not file.is_file():
        raise ModelError(f"{file} does not exist; run `earmark weights {weights.name} --to {file.parent}`")
    return file


def corpus_labels(config: Config, data: Path, tags: Sequence[str]) -> dict[Path, NDArray[np.uint8]]:
    """Return the labels (tags,) of the corpus's clips by the resolved paths of their files.

    There are none if the corpus has no labels yet, or if they lack one of the tags.
    """
    manifest = data / "corpus/manifest.csv"
    if not manifest.is_file():
        return {}
    values: dict[str, NDArray[np.uint8]] = {}
    for name in config.labels:
        labels = data / "labels" / name / "labels.csv"
        clips, table = read_labels(labels) if labels.is_file() else ([], None)
        if table is not None and set(tags) <= set(table.tags):
            columns = [table.tags.index(tag) for tag in tags]
            values |= {clip.clip_id: row[columns] for clip, row in zip(clips, table.values, strict=True)}
    known = ((clip.path, values[clip.clip_id]) for clip in read_manifest(manifest) if clip.clip_id in values)
    return {(config.corpus.audio / path).resolve(): row for path, row in known}


def as_json(found: Sequence[Prediction], failed: dict[str, str]) -> str:
    """Return all predictions as JSON, and the files that have none with the reason."""
    rows = [prediction.as_dict() for prediction in found]
    return json.dumps(rows + [{"file": file, "error": reason} for file, reason in failed.items()], indent=2) + "\n"
