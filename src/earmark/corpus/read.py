"""Read the corpus of params.yaml, whatever its kind, as clips and a tag table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from earmark import doors, progress
from earmark.config import CorpusConfig, load
from earmark.corpus import registry
from earmark.corpus.manifest import Clip, CorpusError, TagTable, described, write_manifest, write_tags
from earmark.corpus.notes import examples, note
from earmark.corpus.sharding import sharded
from earmark.corpus.splits import deal
from earmark.errors import EarmarkError


def read_corpus(params: Path, out: Path) -> None:
    """Run the stage: read the corpus of params.yaml, and write manifest.csv and tags.csv into the folder ``out``.

    Raises CorpusError, with the file and line, if the corpus cannot be used.
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
    """Return the clips, split as ``corpus.split`` and sharded as ``corpus.shard_clips`` says, and their tags.

    Raises CorpusError, with the file and line, if the corpus cannot be used, or if the code of its kind fails.
    """
    kind = registry.module(config.kind)
    try:
        clips, tags = kind.corpus(config)
    except (EarmarkError, MemoryError):
        raise
    except Exception as error:
        raise CorpusError(f"corpus.kind: {config.kind}: {doors.fault(error, 'corpus.kinds', config.kind)}") from error
    _tell_doubled(clips)
    dealt = deal(config.split, config.seed, clips, registry.broken(config.kind))
    return sharded(dealt, config.shard_clips), tags


def _tell_doubled(clips: Sequence[Clip]) -> None:
    """Note the files that several clips are of: each has tags and a split of its own, which may contradict."""
    of_file: dict[str, list[str]] = {}
    for clip in clips:
        of_file.setdefault(clip.path, []).append(clip.clip_id)
    if doubled := {path: ids for path, ids in of_file.items() if len(ids) > 1}:
        path, ids = next(iter(doubled.items()))
        note(f"warning: {len(doubled)} files are of several clips, {path!r} for one: of {examples(ids)}")


def verify(config: CorpusConfig, clips: list[Clip], table: TagTable) -> list[str]:
    """Compare the corpus with the published counts of its kind, if there are any. Return lines to print.

    Raises CorpusError if a count differs.
    """
    kind = registry.module(config.kind)
    return kind.verify(config, clips, table) if hasattr(kind, "verify") else []
