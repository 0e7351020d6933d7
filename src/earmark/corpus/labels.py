"""Turn raw tags into labels: merge synonyms, choose the most frequent tags and their clips, count leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array  # type: ignore[import-untyped]

from earmark import strict_yaml
from earmark.config import LabelsConfig, SplitPolicy
from earmark.corpus.manifest import SPLITS, Clip, CorpusError, TagTable, leaks, read_manifest, read_tags
from earmark.corpus.splits import hashed

Deal = Callable[[list[Clip]], list[Clip]]


def read_synonyms(path: Path) -> list[list[str]]:
    """Return the groups of tags that mean the same, read from a YAML file with a list of lists.

    Raises CorpusError if the file holds anything else, or if a tag occurs twice.
    """
    try:
        groups = strict_yaml.read(path)
    except strict_yaml.YamlError as error:
        raise CorpusError(f"synonyms: {error}") from None
    if not isinstance(groups, list) or not all(
        isinstance(group, list) and len(group) > 1 and all(isinstance(tag, str) for tag in group) for group in groups
    ):
        raise CorpusError(f"synonyms: {path} must be a list of groups, each a list of two tags or more")
    counts = Counter(tag for group in groups for tag in group)
    if twice := [tag for tag, count in counts.items() if count > 1]:
        raise CorpusError(f"synonyms: {path} has {twice[0]!r} in more than one place")
    return groups


def merge(table: TagTable, groups: Sequence[Sequence[str]]) -> TagTable:
    """Merge each group into its first tag: a clip has the merged tag if it has any tag of its group.

    Raises CorpusError if the corpus lacks a tag of a group: a typing mistake, or the groups of another corpus.

    >>> table = TagTable(("1", "2"), ("rock", "jazz", "rocky"), np.array([[0, 1, 1], [0, 1, 0]], np.uint8))
    >>> merged = merge(table, [["rock", "rocky"]])
    >>> merged.tags, merged.values.tolist()
    (('rock', 'jazz'), [[1, 1], [0, 1]])
    """
    if not groups:
        return table
    columns = {tag: i for i, tag in enumerate(table.tags)}
    place = np.arange(len(table.tags))  # of the column into which each one goes
    for group in groups:
        if unknown := [tag for tag in group if tag not in columns]:
            raise CorpusError(
                f"synonyms: {unknown[0]!r} of the group {list(group)} is none of the corpus's {len(columns)} tags"
            )
        place[[columns[tag] for tag in group]] = columns[group[0]]
    kept, place = np.unique(place, return_inverse=True)
    into = csr_array((np.ones(len(place), np.int32), (np.arange(len(place)), place)), (len(place), len(kept)))
    counts = csr_array(table.values) @ into
    values = csr_array((np.ones_like(counts.data, np.uint8), counts.indices, counts.indptr), counts.shape)
    like = values if isinstance(table.values, csr_array) else values.toarray()
    return TagTable(table.clip_ids, tuple(table.tags[i] for i in kept), like)


def top_tags(table: TagTable, top: int) -> TagTable:
    """Return the table of the ``top`` most frequent tags, most frequent first; ties keep the order of the columns.

    Frequencies are counted over all clips, test clips included, as in the literature: the choice of the tags is part
    of the task, not fitted to the training data.
    """
    counts = table.values.sum(axis=0, dtype=np.int64)
    order = np.argsort(-counts, kind="stable")[:top]
    values = table.values[:, order]
    chosen = values.toarray() if isinstance(values, csr_array) else values
    return TagTable(table.clip_ids, tuple(table.tags[i] for i in order), chosen)


def select(
    clips: Sequence[Clip], table: TagTable, top: int, clean: bool, policy: SplitPolicy = "corpus"
) -> tuple[list[Clip], TagTable]:
    """Return the labelled clips and their tags; ``clean`` leaves out clips that have none of the top tags.

    policy: how the clips were dealt to the splits; it only serves the text of the error.

    Raises CorpusError if a split is left without a clip.
    """
    kept, chosen = labelled(clips, table, top, clean)
    require_splits(clips, kept, chosen, policy)
    return kept, chosen


def labelled(clips: Sequence[Clip], table: TagTable, top: int, clean: bool) -> tuple[list[Clip], TagTable]:
    """Return what ``select`` returns, even if a split is empty."""
    chosen = top_tags(table, top)
    rows = np.flatnonzero(chosen.values.any(axis=1)).tolist() if clean else range(len(clips))
    kept = [clips[i] for i in rows]
    return kept, TagTable(tuple(c.clip_id for c in kept), chosen.tags, chosen.values[rows])


def require_splits(clips: Sequence[Clip], kept: Sequence[Clip], chosen: TagTable, policy: SplitPolicy) -> None:
    """Raise CorpusError, with the cause and the cure, if a split has no labelled clip."""
    for split in SPLITS:
        if not any(clip.split == split for clip in kept):
            before = sum(clip.split == split for clip in clips)
            why = _without_tags(before, len(chosen.tags)) if before else _not_dealt(clips, policy)
            raise CorpusError(f"the {split} split has no clip left out of {len(clips)}: {why}")


def _without_tags(clips: int, tags: int) -> str:
    if not tags:
        return "the corpus has no tag at all"
    return (
        f"its {clips} clips have none of the {tags} most frequent tags (`top`); `clean: false` keeps clips without "
        "any of them"
    )


def _not_dealt(clips: Sequence[Clip], policy: SplitPolicy) -> str:
    """Return why a split got no clip, and what would fill it."""
    numbers = {"artist": len({c.artist for c in clips}), "song": len({c.song for c in clips})}
    useful = [
        f"`corpus.split: {group}`" for group, number in numbers.items() if number >= len(SPLITS) and group != policy
    ]
    cure = " or ".join([*useful, "splits of your own (for kind: table a `split` column)"])
    if policy in numbers:
        few = f"there are {numbers[policy]} of them, fewer than 3"
        why = f"corpus.split: {policy} keeps each {policy} in one split, and {few}"
    elif policy != "corpus":
        why = f"corpus.split: {policy} deals clips in shares, of which {len(clips)} clips are too few"
    elif all(clip.split == hashed(clip.artist) for clip in clips):
        why = (
            "a hash of the artist's name chooses the split where the corpus names none, and of few artists "
            f"({numbers['artist']} here) it may put none into one; or the corpus names this split for no clip"
        )
    else:
        why = "the corpus's own splits (its folders, lists or `split` column) put none there"
    return f"{why}; {cure} would fill it"


def summary(clips: Sequence[Clip], table: TagTable, total: int) -> dict[str, Any]:
    """Return the counts for the metrics: each split's clips, songs and tags without positives, and all leaks.

    total: the number of clips before any was left out.
    """
    by_split = {s: np.array([c.split == s for c in clips], bool) for s in SPLITS}
    result: dict[str, Any] = {"clips": len(clips), "without_tags": total - len(clips), "tags": len(table.tags)}
    for split, mask in by_split.items():
        members = [c for c, m in zip(clips, mask, strict=True) if m]
        result[split] = {
            "clips": len(members),
            "songs": len({c.song for c in members}),
            "tags_without_positives": int((table.values[mask].sum(axis=0) == 0).sum()),
        }
    return result | leaks(clips)


def warnings(clips: Sequence[Clip], table: TagTable) -> list[str]:
    """Return one line for each split in which a tag has no positive: the tag is not learnt, or has no ROC-AUC there."""
    rows = positives_per_tag(clips, table)
    absent = {split: [str(row[0]) for row in rows if not row[1 + i]] for i, split in enumerate(SPLITS)}
    return [
        f"warning: {len(tags)} of {len(rows)} tags have no positive in the {split} split: {', '.join(tags)}"
        for split, tags in absent.items()
        if tags
    ]


def positives_per_tag(clips: Sequence[Clip], table: TagTable) -> list[list[object]]:
    """Return one row per tag: its name and the number of its positives in train, valid and test."""
    split = np.array([c.split for c in clips])
    counts = [table.values[split == s].sum(axis=0, dtype=np.int64) for s in SPLITS]
    return [[tag, *(int(c[i]) for c in counts)] for i, tag in enumerate(table.tags)]


def make_labels(
    manifest: Path, tags: Path, config: LabelsConfig, policy: SplitPolicy = "corpus", deal: Deal | None = None
) -> tuple[list[Clip], TagTable, dict[str, Any]]:
    """Read the two tables of a corpus. Return the labelled clips, their tags and the summary.

    policy: how the clips are dealt to the splits, for errors; deal: what does it, if they are not dealt already.

    Raises CorpusError if a split is left without a clip, or if the synonyms do not fit the corpus.
    """
    clips = read_manifest(manifest)
    clips = clips if deal is None else deal(clips)
    table = merge(read_tags(tags), read_synonyms(config.synonyms))
    kept, chosen = select(clips, table, config.top, config.clean, policy)
    return kept, chosen, summary(kept, chosen, len(clips))
