"""The command `earmark probe`: a simple model on every layer of an encoder, compared on the validation split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from earmark import doors, progress, representations
from earmark.config import Config, ConfigError, RepresentationConfig, entry
from earmark.corpus.label_table import read_labels
from earmark.corpus.manifest import read_manifest
from earmark.decode.index import INDEX
from earmark.decode.waveforms import Waveforms
from earmark.errors import EarmarkError
from earmark.evaluation import scoring
from earmark.evaluation.bootstrap import bootstrap_macro_roc_auc, interval, resample
from earmark.evaluation.metrics import macro_roc_auc
from earmark.features import dataset, standardize
from earmark.features.dataset import Split
from earmark.files import read_json, write_json
from earmark.models import networks
from earmark.probe import embeddings
from earmark.probe.table import Row, Table
from earmark.representations.encoder import Layers
from earmark.storage import provenance, shards
from earmark.training.fit import fit
from earmark.training.plan import Plan

SEED = 1


@dataclass(frozen=True)
class Probe:
    """What is probed: an encoder of params.yaml on an entry of its labels, by a family that fits itself.

    data: the folder that the pipeline fills; embeddings and results are cached in its ``probes``.
    """

    config: Config
    encoder: str
    settings: RepresentationConfig
    labels: str
    plan: Plan
    data: Path

    @classmethod
    def open(cls, config: Config, encoder: str, labels: str | None, family: str, data: Path) -> Probe:
        """Return a probe that can run. labels: None for the first entry.

        Raises EarmarkError if there is no such encoder, labels or family, or if what the stages ``labels`` and
        ``decode`` make is absent.
        """
        if encoder in config.representations:
            raise ConfigError(
                f"encoders of params.yaml has no {encoder!r}: that is one of representations, which have no layers; an "
                "experiment with `model: linear` probes it"
            )
        settings = representations.resolve(entry("encoders", config.encoders, encoder), encoder)
        labels = next(iter(config.labels)) if labels is None else labels
        entry("labels", config.labels, labels)
        needed = (
            data / "corpus/manifest.csv",
            data / "labels" / labels / "labels.csv",
            data / "waveforms" / str(settings.rate) / INDEX,
        )
        for path in needed:
            if not path.is_file():
                raise EarmarkError(f"{path} does not exist; run `dvc repro labels decode` first")
        return cls(config, encoder, settings, labels, _plan(family), data)

    def run(self, wanted: Sequence[str] = ()) -> Table:
        """Cache the embeddings of the layers, all of them by default, and return a row for each.

        Raises EarmarkError if the encoder has no such layer, or if the validation split has no tag with both classes.
        """
        note = ""
        if not wanted:
            known = self._known()
            wanted, note = list(known.shapes), known.note
        manifest = read_manifest(self.data / "corpus/manifest.csv")
        waveforms = Waveforms(self.data / "waveforms" / str(self.settings.rate), manifest, self.config.corpus.audio)
        folders = embeddings.cache(
            self.encoder, self.settings, list(dict.fromkeys(wanted)), waveforms, self.data / "probes" / self.encoder
        )
        rows = []
        with progress.bar(len(folders), f"probe {self.encoder}", "layer") as bar:
            for layer, folder in folders.items():
                rows.append(self._row(layer, folder))
                bar.update()
        return Table(rows, self._notes(rows, note))

    def _known(self) -> Layers:
        """Return the layers of the encoder. Raises ConfigError if its file does not tell them."""
        network = embeddings.open_layers(self.encoder, self.settings, [self.settings.options().get("layer")])
        try:
            return network.layers()
        except EarmarkError as error:
            raise ConfigError(f"encoders.{self.encoder}.file: {error}; or name them by --layers") from None

    def _row(self, layer: str, folder: Path) -> Row:
        """Return the row of a layer, as it was found before if nothing that it depends on has changed."""
        path = folder / f"{self.labels}-{self.plan.family}.json"
        mark = self._mark(folder)
        if before := _before(path, mark):
            return before
        labels = self.data / "labels" / self.labels / "labels.csv"
        standardizer = folder / f"{self.labels}-standardizer.json"
        clips, _ = read_labels(labels)
        standardize.fit(folder, {clip.clip_id for clip in clips if clip.split == "train"}).save(standardizer)
        train, valid = (dataset.load(folder, labels, standardizer, split) for split in ("train", "valid"))
        found = self._measured(layer, train, valid)
        write_json(path, {"fingerprint": mark, "row": asdict(found)})
        return found

    def _measured(self, layer: str, train: Split, valid: Split) -> Row:
        """Fit on the training split and measure on the validation split, with the bootstrap of `evaluate`."""
        fitted = fit(self.plan, SEED, train, valid)
        clips, scores = valid.by_clip(scoring.score(fitted.model.eval(), valid.features))
        targets, rule = clips.targets.numpy(), self.config.evaluation
        drawn = resample([clip.song for clip in clips.clips], rule.resamples, rule.seed)
        low, high = interval(bootstrap_macro_roc_auc(scores, targets, drawn))
        _, frames, dims = valid.features.shape
        return Row(layer, frames, dims, macro_roc_auc(scores, targets), low, high)

    def _mark(self, folder: Path) -> str:
        """Return a hash of all that a row depends on."""
        labels = self.data / "labels" / self.labels / "labels.csv"
        return provenance.fingerprint(
            features={path.name: shards.fingerprint_of(path) for path in shards.shard_files(folder)},
            labels=hashlib.sha256(labels.read_bytes()).hexdigest(),  # the split stands there, too
            options=dict(self.plan.options),
            evaluation=self.config.evaluation.model_dump(mode="json"),
            code=[provenance.digest(f"{stage}-{self.plan.family}") for stage in ("train", "evaluate")],
        )

    def _notes(self, rows: Sequence[Row], left_out: str) -> list[str]:
        clips, _ = read_labels(self.data / "labels" / self.labels / "labels.csv")
        valid = [clip for clip in clips if clip.split == "valid"]
        songs = len({clip.song for clip in valid})
        found = [
            f"{self.plan.family} on {self.labels}: {len(valid)} clips of {songs} songs, the validation split",
            "The same split chose the model's setting: these figures rank layers and are no results. The test split "
            "was not looked at.",
        ]
        if len(rows) > 1:
            best = Table(rows, ()).best
            found.append(f"encoders.{self.encoder} in params.yaml takes the best one by `layer: {best.layer}`")
        if left_out:
            found.append(f"left out: {left_out}; --layers takes any by its name")
        return found


def _before(path: Path, mark: str) -> Row | None:
    """Return the row that a file holds, None if there is none of that mark."""
    try:
        content = read_json(path)
    except EarmarkError:  # there is none, or it is damaged
        return None
    return Row(**content["row"]) if content.get("fingerprint") == mark else None


def _plan(family: str) -> Plan:
    """Return the plan of a probe. Raises ConfigError if the family is unknown, or is trained by a recipe."""
    if family not in (families := provenance.plugins("models")):
        raise ConfigError(f"--model must be one of {', '.join(families)}, got {family!r}")
    build = doors.opened("models", family)
    if isinstance(build, type) and not hasattr(build, "fit"):
        raise ConfigError(
            f"--model must fit itself, as linear and histogram_boosting do, got {family!r}: that is trained by a "
            "recipe, as an experiment of params.yaml"
        )
    return Plan("probe", family, networks.resolve(family, {}, "probe"), None)
