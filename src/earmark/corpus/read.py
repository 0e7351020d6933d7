"""The configured corpus, whatever its kind, as clips and a tag table."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from earmark import progress
from earmark.config import CorpusConfig, SplitPolicy, load
from earmark.corpus import registry, splits
from earmark.corpus.manifest import Clip, TagTable, described, write_manifest, write_tags


def read_corpus(params: Path, out: Path) -> None:
    """Do what the stage does: read the corpus of params.yaml, and write ``out``/manifest.csv and tags.csv.

    Raises CorpusError with the file and line of whatever is wrong.
    """
    config = load(params).corpus
    watch = progress.Stopwatch()
    clips, table = read(config)
    published = verify(config, clips, table)
    write_manifest(out / "manifest.csv", clips)
    write_tags(out / "tags.csv", table)
    for line in published:
        print(line)
    songs = len({clip.song for clip in clips})
    watch.report("corpus", len(clips), f"{len(table.tags)} tags, {songs} songs; {described(clips)}")


def read(config: CorpusConfig) -> tuple[list[Clip], TagTable]:
    """Read the corpus and split it as asked for. Raises CorpusError with the file and line of whatever is wrong."""
    clips, tags = registry.module(config.kind).corpus(config)
    return split(clips, config.split, config.seed, registry.broken(config.kind)), tags


def split(clips: list[Clip], policy: SplitPolicy, seed: int, aside: Collection[str] = ()) -> list[Clip]:
    """Deal the clips to the splits by a policy of ``corpus.split``.

    aside: paths of files that ``panwar-random`` leaves where they are, because they cannot be decoded.
    """
    if policy == "corpus":
        return clips
    if policy == "panwar-random":
        return splits.random_clips(clips, seed, aside=aside)
    return splits.grouped(clips, policy, seed)


def verify(config: CorpusConfig, clips: list[Clip], table: TagTable) -> list[str]:
    """Compare with the published counts of the kind, if it has any: return a line per count.

    Raises CorpusError if one of them differs.
    """
    kind = registry.module(config.kind)
    return kind.verify(config, clips, table) if hasattr(kind, "verify") else []
