"""The stage ``labels``: an entry of the section ``labels`` becomes a table of labelled clips."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from earmark import progress
from earmark.config import entry, load
from earmark.corpus import registry
from earmark.corpus.label_table import write_labels
from earmark.corpus.labels import make_labels, positives_per_tag, warnings
from earmark.corpus.manifest import SPLITS, CorpusError
from earmark.corpus.splits import deal
from earmark.files import write_csv, write_json


def choose_labels(params: Path, name: str, corpus: Path, out: Path, metrics: Path, positives: Path) -> None:
    """Run the stage: choose the tags and clips that the entry ``name`` of ``labels`` in params.yaml asks for.

    corpus: the folder of manifest.csv and tags.csv. Written are out: the table of labelled clips; metrics: counts and
    leaks, as JSON; positives: a CSV with the number of each tag's positives in each split.

    Raises CorpusError if a split is left without a clip, or if the synonyms do not fit the corpus.
    """
    config = load(params)
    watch = progress.Stopwatch()
    wanted = entry("labels", config.labels, name)
    policy, seed = wanted.split or config.corpus.split, config.corpus.seed
    again = None if wanted.split is None else partial(deal, policy, seed, aside=registry.broken(config.corpus.kind))
    try:
        clips, table, counts = make_labels(corpus / "manifest.csv", corpus / "tags.csv", wanted, policy, again)
    except CorpusError as error:
        raise CorpusError(f"labels.{name}: {error}") from None
    write_labels(out, clips, table)
    write_json(metrics, counts)
    write_csv(positives, ["tag", *SPLITS], positives_per_tag(clips, table))
    for warning in warnings(clips, table):
        print(warning, file=sys.stderr)
    sizes = ", ".join(f"{counts[split]['clips']} {split}" for split in SPLITS)
    watch.report(f"labels {name}", len(clips), f"{len(table.tags)} tags, {sizes}")
