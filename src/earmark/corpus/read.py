"""The configured corpus, whatever its kind, as clips and a tag table."""

from __future__ import annotations

from earmark.config import CorpusConfig, SplitPolicy
from earmark.corpus import splits
from earmark.corpus.kinds import folders, jamendo, magnatagatune, table
from earmark.corpus.manifest import SPLITS, Clip, CorpusError, TagTable


def read(config: CorpusConfig) -> tuple[list[Clip], TagTable]:
    """Read the corpus and split it as asked for; CorpusError names the file and line of whatever is wrong."""
    clips, tags = _of_kind(config)
    return split(clips, config.split, config.seed), tags


def split(clips: list[Clip], policy: SplitPolicy, seed: int) -> list[Clip]:
    """Deal the clips to the splits by one of the rules of ``corpus.split``."""
    if policy == "corpus":
        return clips
    if policy == "panwar-random":
        return splits.random_clips(clips, seed, aside=magnatagatune.BROKEN)
    return splits.grouped(clips, policy, seed)


def _of_kind(config: CorpusConfig) -> tuple[list[Clip], TagTable]:
    if config.kind == "table":
        return table.read(config.annotations)
    if config.kind == "folders":
        lists = {split: config.annotations / f"{split}.txt" for split in SPLITS}
        artists = config.annotations / "artists.csv"
        given = {split: file for split, file in lists.items() if file.is_file()}
        return folders.read(config.audio, given, artists if artists.is_file() else None)
    if config.kind == "jamendo":
        return jamendo.read(config.annotations, config.jamendo.split, config.jamendo.subset)
    if config.kind == "demo" and not config.audio.is_dir():
        raise CorpusError(
            f"corpus.audio: {config.audio} does not exist; `dvc repro demo` renders the demo corpus there"
        )
    return magnatagatune.read(config.audio, config.annotations)
