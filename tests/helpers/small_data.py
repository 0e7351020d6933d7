"""A data folder as the pipeline leaves it, in miniature and without DVC: twelve clips, mel, a linear experiment."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import yaml

from earmark.config import Config
from earmark.corpus import label_table, labels
from earmark.corpus.kinds import magnatagatune
from earmark.corpus.manifest import write_manifest, write_tags
from earmark.decode import corpus as decode
from earmark.decode.waveforms import Waveforms
from earmark.evaluation.experiment import evaluate_experiment
from earmark.features import extract, standardize
from earmark.files import write_json
from earmark.storage import provenance
from earmark.training import fit as training
from earmark.training import validation

RATE, SAMPLES = 16_000, 30_000
NO_SYNONYMS = provenance.PACKAGE / "corpus/synonyms/none.yaml"
RECIPES = {
    "short": {
        "optimizer": "adam", "learning_rate": 0.001, "schedule": "warm-cosine", "batch": 16, "epochs": 2, "patience": 5
    }
}  # fmt: skip
LINEAR = {"representation": "mel", "labels": "top3", "model": "linear"}
CNN = {"representation": "mel", "labels": "top3", "model": "convolutional", "recipe": "short"}


@dataclass
class Place:
    """Where everything lies."""

    folder: Path
    audio: Path

    @property
    def params(self) -> Path:
        return self.folder / "params.yaml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def config(self) -> Config:
        return validation.load(self.params)

    @property
    def inputs(self) -> tuple[Path, Path, Path]:
        """Features, labels and standardizer."""
        return self.data / "features/mel", self.data / "labels/top3/labels.csv", self.data / "standardize/mel-top3.json"

    def add(self, section: str, **entries: object) -> None:
        """Add entries to a section of params.yaml, or replace them."""
        content = yaml.safe_load(self.params.read_text())
        content[section] = content.get(section, {}) | entries
        self.params.write_text(yaml.safe_dump(content))

    def evaluate(self, name: str, out: Path | None = None) -> SimpleNamespace:
        """Score the test split and measure as the stage does; return what was written where."""
        out = out or self.folder / "evaluated"
        files = ("scores.csv", "metrics.json", "details.json", "tags.csv", "roc.csv", "curves.csv")
        written = {file.partition(".")[0]: out / file for file in files}
        inputs = dict(zip(("features", "labels", "standardizer"), self.inputs, strict=True))
        evaluate_experiment(self.params, name, model=self.data / "models" / name, **inputs, **written)
        return SimpleNamespace(**written)

    def train(self, name: str, out: Path | None = None) -> Path:
        """Train an experiment as the stage does; return the folder of its model."""
        out = out or self.data / "models" / name
        training.train_experiment(self.params, name, *self.inputs, self.data / "checkpoints" / name, out)
        return out


def fill(
    folder: Path, audio: Path, annotations: Path, n_mels: int = 24, heard: object = None, **waveform: object
) -> Place:
    """Run everything up to a trained `linear` in this process; waveform: settings beside the number of samples.

    heard: the entry `mel` of representations, if it is another one.
    """
    place = Place(folder, audio)
    mel = heard or {"kind": "mel", "rate": RATE, "samples": 28_000, "n_mels": n_mels}
    content = {
        "corpus": {
            "kind": "magnatagatune", "name": "tones", "audio": str(audio), "annotations": str(annotations),
            "demo": {"clips": 400, "seed": 1},
        },
        "labels": {"top3": {"top": 3, "clean": True, "synonyms": str(NO_SYNONYMS)}},
        "waveforms": {str(RATE): {"samples": SAMPLES} | waveform},
        "representations": {"mel": mel},
        "recipes": RECIPES,
        "experiments": {"linear": LINEAR},
        "evaluation": {"resamples": 20, "seed": 1},
    }  # fmt: skip
    place.params.write_text(yaml.safe_dump(content))
    data, config = place.data, place.config
    clips, table = magnatagatune.read(audio, annotations)
    write_manifest(data / "corpus/manifest.csv", clips)
    write_tags(data / "corpus/tags.csv", table)
    kept, chosen, summary = labels.make_labels(
        data / "corpus/manifest.csv", data / "corpus/tags.csv", config.labels["top3"]
    )
    label_table.write_labels(data / "labels/top3/labels.csv", kept, chosen)
    write_json(folder / "metrics/labels/top3.json", summary)
    decode.decode_corpus(clips, audio, RATE, config.waveforms[RATE], data / "waveforms/16000")
    waveforms = Waveforms(data / "waveforms/16000", clips, audio)
    extract.extract(waveforms, data / "features/mel", config.representations["mel"])
    (data / "standardize").mkdir()
    standardizer = data / "standardize/mel-top3.json"
    standardize.fit(data / "features/mel", {c.clip_id for c in kept if c.split == "train"}).save(standardizer)
    with contextlib.redirect_stdout(None):
        place.train("linear")
    return place
