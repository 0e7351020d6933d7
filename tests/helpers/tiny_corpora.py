"""Corpora of twelve clips of a fifth of a second, in the layout of each kind, and all stages on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile
import yaml

from earmark.corpus.choose import choose_labels
from earmark.corpus.manifest import read_manifest
from earmark.corpus.read import read_corpus
from earmark.decode.corpus import decode_configured
from earmark.decode.waveforms import Waveforms
from earmark.evaluation.experiment import evaluate_experiment
from earmark.features import extract, standardize
from earmark.training import fit, validation
from earmark.training.crossvalidation import crossvalidate
from helpers.corpora import HEADER, write
from helpers.music import tone
from helpers.small_data import NO_SYNONYMS

RATE = 8_000
ARTISTS = ("train", "train", "train", "train", "valid", "test")  # the split of each, of two clips
ROWS = [
    (f"{'fs'[i % 2]}/{i}.wav", "piano" if i % 2 else "drums", f"artist {i // 2}", ARTISTS[i // 2]) for i in range(12)
]


@dataclass
class Tiny:
    """A corpus and its settings, which a test changes before it runs the stages."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, row in enumerate(ROWS):
            self.sound(row[0], 200 + 150 * (number % 2) + number)
        self.table("path,tags,artist,split", *(",".join(row) for row in ROWS))
        self.settings |= {
            "corpus": {"kind": "table", "audio": str(self.audio), "annotations": str(self.folder / "table.csv")},
            "labels": {"top": {"top": 3, "clean": False, "synonyms": str(NO_SYNONYMS)}},
            "waveforms": {str(RATE): {"samples": 1_600, "min_seconds": 0.1}},
            "representations": {
                "mel": {"kind": "mel", "rate": RATE, "samples": 1_600, "n_fft": 128, "hop": 64, "n_mels": 8}
            },
            "experiments": {"linear": {"representation": "mel", "labels": "top", "model": "linear"}},
            "recipes": {"short": {"optimizer": "adam", "learning_rate": 0.01, "batch": 4, "epochs": 1, "patience": 1}},
            "evaluation": {"resamples": 5, "seed": 1},
        }

    @property
    def audio(self) -> Path:
        return self.folder / "audio"

    @property
    def params(self) -> Path:
        return self.folder / "params.yaml"

    def sound(self, path: str, hz: float = 300, seconds: float = 0.2) -> None:
        (self.audio / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(self.audio / path, tone(seconds, hz, RATE), RATE)

    def table(self, *lines: str) -> None:
        write(self.folder / "table.csv", "".join(f"{line}\n" for line in lines))

    def kind(self, kind: str, annotations: Path | None = None) -> None:
        self.settings["corpus"]["kind"] = kind
        if annotations is not None:
            self.settings["corpus"]["annotations"] = str(annotations)

    def folders(self, **lists: str) -> None:
        """The kind folders: artists.csv, train.txt and the like with these texts."""
        (self.folder / "lists").mkdir()
        for name, text in lists.items():
            write(self.folder / "lists" / (f"{name}.csv" if name == "artists" else f"{name}.txt"), text)
        self.kind("folders", self.folder / "lists")

    def jamendo(self, text: str = HEADER) -> None:
        for name in ("train", "validation", "test"):
            write(self.folder / f"data/splits/split-0/autotagging_top50tags-{name}.tsv", text)
        self.kind("jamendo", self.folder / "data")

    def mtat(self, text: str) -> None:
        write(self.audio / "0/x-0-29.mp3", "")
        self.kind("magnatagatune", write(self.folder / "final.csv", text))

    def write_settings(self) -> Path:
        self.params.write_text(yaml.safe_dump(self.settings))
        return self.params

    def stages(self) -> None:
        """Run all stages that the settings ask for, in the order of dvc.yaml."""
        params, data = self.write_settings(), self.folder / "made"
        manifest, labels = data / "corpus/manifest.csv", data / "labels.csv"
        standardizer, features = data / "standardizer.json", data / "mel"
        config = validation.load(params)
        read_corpus(params, data / "corpus")
        choose_labels(params, "top", data / "corpus", labels, data / "labels.json", data / "positives.csv")
        decode_configured(params, RATE, manifest, data / "waveforms", data / "decode.json")
        waveforms = Waveforms(data / "waveforms", read_manifest(manifest), config.corpus.audio)
        extract.extract(waveforms, features, config.representations["mel"])
        standardize.fit_training_split(features, labels, standardizer)
        for name in config.experiments:
            model, states = data / "models" / name, data / "states" / name
            fit.train_experiment(params, name, features, labels, standardizer, states, model)
            written = {key: data / f"{key}-{name}" for key in ("scores", "metrics", "details", "tags", "roc", "curves")}
            inputs = {"model": model, "features": features, "labels": labels, "standardizer": standardizer}
            evaluate_experiment(params, name, **inputs, **written)
        for name in config.crossvalidations:
            out = data / "folded" / name
            crossvalidate(params, name, features, labels, data / "states", out, out / "m.json", out / "c.csv")
