"""The tags of any audio file by a trained model.

The file passes through the same functions as the clips of the corpus, and its scores are averaged over its segments.
The file of the model says how. params.yaml only names the default model, and the folder of the corpus: if the file is a
labelled clip of it, its actual tags are shown, too. Papers check songs from outside of their data in the same way
(Panwar et al., Fig. 6).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark import devices, pickles, representations
from earmark.config import Config, ConfigError
from earmark.config import load as read_config
from earmark.corpus.label_table import read_labels
from earmark.corpus.manifest import read_manifest
from earmark.evaluation import scoring
from earmark.features.listener import Listener
from earmark.features.segments import Decoded
from earmark.models.restored import restored
from earmark.models.saved import ModelError, SavedModel
from earmark.prediction import Prediction
from earmark.representations import scripts
from earmark.sections import near
from earmark.storage import remembered
from earmark.travel import bundle
from earmark.travel.folder import model_files
from earmark.weights import registry

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Known:
    """What a corpus knows of one of its clips: its labels (tags,) in {0, 1}, and its split."""

    labels: NDArray[np.uint8]
    split: str


class Predictor:
    """A trained experiment, for any number of audio files: a model, or one per seed, whose probabilities are averaged.

    known: the clips of a corpus, by the resolved paths of their files. threshold: from which a tag is predicted, in
    place of those that were chosen on the validation split. If the code of the representation has changed since the
    model was trained, a warning says so. params: of the project whose own Python files a model may hear through.
    """

    def __init__(
        self,
        models: SavedModel | Sequence[SavedModel],
        known: Mapping[Path, Known] | None = None,
        threshold: float | None = None,
        params: Path = scripts.PARAMS,
    ) -> None:
        self.saved_models = (models,) if isinstance(models, SavedModel) else tuple(models)
        self.saved, self.known = self.saved_models[0], known or {}
        saved = self.saved
        for other in self.saved_models[1:]:
            if (other.tags, other.representation, other.waveform) != (saved.tags, saved.representation, saved.waveform):
                raise ModelError(f"the seeds of {saved.experiment!r} differ in what they hear or in tags; train again")
        scripts.require_own(saved.representation, f"the model of {saved.experiment!r}", params)
        window = saved.training["excerpt_frames"] if saved.training.get("whole_file") else None
        self.listener = Listener(saved.representation, saved.waveform, saved.standardizer, window)
        shape = self.listener.transform.n_frames, self.listener.transform.n_dims
        for one in self.saved_models:
            if shape != (one.frames, one.dims):
                raise ModelError(
                    f"the model of {one.experiment!r} was trained on {one.frames} frames of {one.dims} dims, and the "
                    f"code of its {saved.representation.kind} gives {shape[0]} of {shape[1]}; train it again"
                )
        where = devices.device()
        self.networks = [restored(one).to(where) for one in self.saved_models]
        each = np.stack([one.decisive for one in self.saved_models])
        self.thresholds = each.mean(axis=0) if threshold is None else np.full(len(saved.tags), threshold)
        kind = saved.representation.kind
        code = saved.code.get("features")  # weights that were not trained here have none
        if code is not None and code != remembered.digest(representations.consumer(saved.representation)):
            print(
                f"warning: the code of {kind} has changed since {saved.experiment!r} was trained: features, and so "
                "probabilities, may differ from the pipeline's",
                file=sys.stderr,
            )

    @property
    def model(self) -> nn.Module:
        """The network, that of the first seed if there are several."""
        return self.networks[0]

    @property
    def tags(self) -> tuple[str, ...]:
        """The names of the tags, in the order of the probabilities."""
        return self.saved.tags

    def about(self) -> str:
        """Return a line about what predicts, and on which device."""
        kind, seeds = self.saved.representation.kind, len(self.saved_models)
        where = devices.of(self.model)
        return f"{self.saved.experiment}: {kind}, {len(self.tags)} tags, {seeds} seed{'s' * (seeds > 1)}, on {where}"

    def predict(self, path: str | Path) -> Prediction:
        """Return the probability of every tag for an audio file of any length, and which tags are predicted.

        Raises RejectedError if the file cannot be decoded, or is shorter than the pipeline accepts.
        """
        return self.predict_blocks(Path(path))

    def predict_blocks(self, path: Path, blocks: Decoded | None = None) -> Prediction:
        """Return what ``predict`` returns; blocks: of the file, if some have been decoded already."""
        hearing = self.listener.hearing(path, blocks)
        starts, rows = zip(*((batch.starts, self._scores(batch.features)) for batch in hearing), strict=True)
        each = np.concatenate(rows)
        scores, known = each.mean(axis=0), self.known.get(path.resolve())
        return Prediction(
            file=str(path),
            seconds=hearing.seconds,
            starts=np.concatenate(starts),
            tags=self.tags,
            each=each,
            probabilities=scores,
            thresholds=self.thresholds,
            predicted=self._predicted(scores),
            actual=None if known is None else known.labels,
            split=None if known is None else known.split,
            incomplete=hearing.incomplete,
        )

    def _scores(self, features: Tensor) -> NDArray[np.float64]:
        """Return the probabilities (segments, tags), averaged over the seeds."""
        found = [
            scoring.score(network, features, one.training["excerpt_frames"], one.training["excerpts"],
                          exclusive=one.exclusive)
            for network, one in zip(self.networks, self.saved_models, strict=True)
        ]  # fmt: skip
        return found[0] if len(found) == 1 else np.mean(found, axis=0)

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
        return scores >= self.thresholds


def load(path: str | Path) -> Predictor:
    """Open a trained model: a bundle, the folder of an experiment (``data/models/NAME``), or a ``model.safetensors``.

    The name of published weights, such as ``musicnn-mtt``, is looked for in ``data/weights``.

    Raises ModelError or BundleError if the file is absent, damaged or something else, and EarmarkError if the model
    hears through a Python file that ``params.yaml`` of the working directory does not name.
    """
    if str(path) in registry.WEIGHTS and not Path(path).exists():
        path = _named(str(path), Path("data"), ())
    path = Path(path)
    pickles.refuse(path)
    return opened(path)


def opened(
    path: Path,
    known: Mapping[Path, Known] | None = None,
    threshold: float | None = None,
    params: Path = scripts.PARAMS,
) -> Predictor:
    """Open a bundle, a model's file, or the folder of an experiment with a model or one per seed."""
    if path.suffix == bundle.SUFFIX:
        folder = Path(tempfile.mkdtemp(prefix="earmark-bundle-"))  # encoders are read from it when they are needed
        try:
            found = Predictor(bundle.read(path, folder).models, known, threshold, params)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
        return found
    files = [path] if path.is_file() or path.suffix == SUFFIX else model_files(path)
    return Predictor([SavedModel.load(file) for file in files], known, threshold, params)


def open_predictor(params: Path, model: str | None, data: Path, threshold: float | None = None) -> Predictor:
    """Open the model of an experiment or of published weights under ``data``, or of a file or folder.

    By default it is that of the first experiment in params.yaml. threshold: as for ``Predictor``.

    Without a params.yaml a model must be named, and no actual tags are known. Raises ConfigError if there is no such
    experiment, ModelError or BundleError if its model cannot be used.
    """
    config = read_config(params) if params.is_file() else None
    found = opened(locate(config, params, model, data), None, threshold, params)
    if config is not None:
        found.known = corpus_labels(config, data, found.tags, found.saved.experiment)
    return found


def locate(config: Config | None, params: Path, model: str | None, data: Path) -> Path:
    """Return the file, or the folder of an experiment, that ``open_predictor`` opens; config: what ``params`` holds.

    An experiment goes before a folder of its name. Raises ConfigError and ModelError as ``open_predictor`` does; a file
    that is named as such need not be there, and a folder need not hold a model.
    """
    if model is None and config is None:
        raise ConfigError(
            f"{params} does not exist; name a model by --model (a bundle, a model's file or folder, or published "
            "weights), or run it where params.yaml is"
        )
    name = model or next(iter(config.experiments if config else ()), None)
    if name is None:
        raise ConfigError(f"{params} has no experiments; name a model by --model")
    known = () if config is None else tuple(config.experiments)
    file = _named(name, data, known)
    if config is not None and not file.exists() and name not in known and file.suffix not in (SUFFIX, bundle.SUFFIX):
        hint = near(name, [*known, *registry.WEIGHTS])
        raise ConfigError(
            f"--model must be one of experiments {sorted(known)}, or a file or folder, got {name!r}{hint}"
        )
    return file


def _named(name: str, data: Path, experiments: Sequence[str]) -> Path:
    """Return the file or folder that a name stands for.

    Raises EarmarkError if it is a pickle, or weights that are not there.
    """
    path = Path(name)
    pickles.refuse(path)
    weights = registry.WEIGHTS.get(path.stem if path.suffix == SUFFIX else name)
    if weights is None or name in experiments:
        own = data / "models" / name
        elsewhere = path.is_dir() and name not in experiments and not own.exists()
        return path if elsewhere or path.suffix in (SUFFIX, bundle.SUFFIX) else own
    file = path if path.suffix == SUFFIX else registry.place(data / "weights", name)
    if not file.is_file():
        raise ModelError(f"{file} does not exist; run `earmark weights {weights.name} --to {file.parent}`")
    return file


def corpus_labels(config: Config, data: Path, tags: Sequence[str], experiment: str) -> dict[Path, Known]:
    """Return what the corpus knows of its clips, by the resolved paths of their files.

    experiment: of the model. Its entry of ``labels`` says what is known. If there is none with the tags, it is the
    first entry that has them; but a clip that any entry trains or validates on counts as heard, for the model may be of
    that one. There is nothing if the corpus has no labels yet, or if they lack one of the tags.
    """
    manifest = data / "corpus/manifest.csv"
    if not manifest.is_file():
        return {}
    own = [config.experiments[experiment].labels] if experiment in config.experiments else []
    values = _labelled(data, own, tags) or _labelled(data, config.labels, tags)
    known = ((clip.path, values[clip.clip_id]) for clip in read_manifest(manifest) if clip.clip_id in values)
    return {(config.corpus.audio / path).resolve(): found for path, found in known}


def _labelled(data: Path, names: Iterable[str], tags: Sequence[str]) -> dict[str, Known]:
    """Return what is known by these entries of ``labels``, those that have all of the tags; by the ids of the clips."""
    values: dict[str, Known] = {}
    for name in names:
        labels = data / "labels" / name / "labels.csv"
        clips, table = read_labels(labels) if labels.is_file() else ([], None)
        if table is not None and set(tags) <= set(table.tags):
            columns = [table.tags.index(tag) for tag in tags]
            for clip, row in zip(clips, table.values, strict=True):
                first = values.setdefault(clip.clip_id, Known(row[columns], clip.split))
                if first.split == "test":
                    values[clip.clip_id] = replace(first, split=clip.split)
    return values
