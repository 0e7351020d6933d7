"""The input of a system, decoded, computed and standardised as far as that is not done yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from earmark import representations
from earmark.config import Config, RepresentationConfig, WaveformConfig
from earmark.corpus import registry
from earmark.corpus.label_table import read_labels
from earmark.corpus.manifest import read_manifest
from earmark.decode.corpus import decode_corpus
from earmark.decode.waveforms import Waveforms
from earmark.features import dataset, extract, standardize
from earmark.features.dataset import Split
from earmark.storage import provenance
from earmark.systems import published


@dataclass(frozen=True)
class Prepared:
    """A representation of the labelled corpus: the folder of its shards, the file of its standardizer, the labels."""

    features: Path
    standardizer: Path
    labels: Path

    def splits(self) -> tuple[Split, Split, Split]:
        """Return the standardised training, validation and test split."""
        train, valid, test = (
            dataset.load(self.features, self.labels, self.standardizer, split) for split in ("train", "valid", "test")
        )
        return train, valid, test


def prepare(representation: RepresentationConfig, config: Config, data: Path, labels: Path) -> Prepared:
    """Decode the corpus, compute a representation of it and fit its standardizer, all under ``data``/papers."""
    resolved = representations.resolve(representation)
    name = f"{resolved.kind}-{provenance.fingerprint(**resolved.model_dump(mode='json'))[:8]}"
    features, standardizer = data / "papers/features" / name, data / "papers/standardize" / f"{name}.json"
    extract.extract(_waveforms(resolved, config, data), features, resolved)
    clips, _ = read_labels(labels)
    standardizer.parent.mkdir(parents=True, exist_ok=True)
    standardize.fit(features, {clip.clip_id for clip in clips if clip.split == "train"}).save(standardizer)
    return Prepared(features, standardizer, labels)


def _waveforms(representation: RepresentationConfig, config: Config, data: Path) -> Waveforms:
    """Return the pipeline's waveforms if their rate is there and they are long enough, else decode our own."""
    rate, audio = representation.rate, config.corpus.audio
    clips = read_manifest(data / "corpus/manifest.csv")
    decoded = config.waveforms.get(rate)
    if decoded is not None and decoded.samples >= representation.samples:
        return Waveforms(data / "waveforms" / str(rate), clips, audio)
    inputs = [system.representation for system in published.SYSTEMS.values()]
    longest = max(heard.n_samples for heard in inputs if heard.rate == rate)
    folder = data / "papers/waveforms" / str(rate)
    broken = registry.broken(config.corpus.kind)
    decode_corpus(clips, audio, rate, WaveformConfig(samples=longest), folder, broken)
    return Waveforms(folder, clips, audio)
