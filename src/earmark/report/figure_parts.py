"""The parts of the page that show figures: experiments, pairs, tags, the corpus, and the published systems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from earmark.config import Config
from earmark.evaluation.comparison import verdict
from earmark.evaluation.details import read_metrics
from earmark.evaluation.experiment import headline
from earmark.files import read_csv
from earmark.papers.reproduction import read_runs
from earmark.report import svg, tables
from earmark.report.parts import OVERLAID, Section, Sources, Table
from earmark.report.svg import Interval
from earmark.systems import published
from earmark.systems.claims import claimed

PAIRS = 20  # in the chart of pairs; the table has all of them
BARS = 50  # in the chart of experiments; the table has all of them
COLUMNS = 20  # experiments in the table of tags
LEAKS = {  # by their keys in the metrics of the labels
    "songs_in_several_splits": "songs in several splits",
    "test_clips_whose_song_trains": "test clips whose song trains",
    "artists_in_several_splits": "artists in several splits",
    "test_clips_whose_artist_trains": "test clips whose artist trains",
}
DECODED = {  # by their keys in the metrics of decoding
    "clips": "clips",
    "segments": "segments",
    "rejected": "rejected",
    "rejected_as_known": "of these known as broken",
    "padded": "padded",
    "silent": "silent",
    "clipped": "clipped",
}


def experiments(sources: Sources) -> Section | None:
    """Return experiments, fusions and cross-validations with their intervals, beside what is in print."""
    rows = tables.experiments(sources.metrics, sources.ranked, sources.fusions)
    classes = tables.crossvalidations(sources.metrics / "crossvalidations", sources.classified)
    if not rows and not classes:
        return None
    intervals = [_interval(name, sources.figures(name), _print(sources.config, name)) for name in sources.ranked]
    intervals += [_interval(name, headline(one.test), None) for name, one in sources.fusions.items()]
    intervals.sort(key=lambda row: -row.value)
    drawn = sources.config.evaluation
    text = [
        f"Mean ROC-AUC over tags on the test split; the bars are 95 % intervals by {drawn.resamples:,} resamples of "
        "its songs. Two experiments can differ even if their bars overlap: see the pairs below."
    ]
    beside = "in print: on the paper's data" if any(row.beside is not None for row in intervals) else ""
    if beside:
        text.append(
            "A diamond is the figure that the paper prints of the system that an experiment claims to be. It was "
            "measured on the paper's data, and can only be compared with ours where that is the same."
        )
    if len(intervals) > BARS:
        text.append(f"The chart has the {BARS} best of {len(intervals):,}.")
    charts = [svg.interval_chart("ROC-AUC of all experiments, with intervals", intervals[:BARS], beside=beside)]
    found = [Table("Experiments", tables.EXPERIMENTS, rows)] if rows else []
    if classes:
        found.append(Table("Cross-validations", tables.CROSSVALIDATIONS, classes))
    return Section("experiments", "Experiments", text, charts if intervals else (), found)


def _interval(name: str, figures: Mapping[str, float], beside: float | None) -> Interval:
    shown = f"{figures['roc_auc']:.3f} ({figures['low']:.3f} to {figures['high']:.3f})"
    return Interval(name, figures["roc_auc"], figures["low"], figures["high"], shown, beside)


def _print(config: Config, name: str) -> float | None:
    """Return the ROC-AUC that is in print of the system that an experiment claims to be."""
    system = claimed(name, config.experiments[name])
    return None if system is None else system.published.get("roc_auc")


def pairs(sources: Sources) -> Section | None:
    """Return the differences of all pairs of experiments."""
    if not sources.pairs:
        return None
    rows = tables.pairs(sources.pairs)
    largest = sorted(sources.pairs, key=lambda pair: -abs(pair.difference))[:PAIRS]
    intervals = []
    for pair, row in zip(largest, rows, strict=False):
        low, high = (pair.low, pair.high) if pair.difference >= 0 else (-pair.high, -pair.low)
        intervals.append(
            Interval(" - ".join(svg.short(n, 22) for n in row[:2]), abs(pair.difference), low, high, f"+{row[2]}")
        )
    text = [
        "The difference of two mean ROC-AUCs on the same resamples of the same songs. An interval that excludes zero "
        "says that they differ on music like this; what another seed would give is another question.",
        verdict(sources.pairs),
    ]
    if len(rows) > PAIRS:
        text.append(f"The chart has the {PAIRS} largest of {len(rows)} differences.")
    charts = [svg.interval_chart("Differences of ROC-AUC, with intervals", intervals, zero=0.0)]
    return Section("pairs", "Pairwise differences", text, charts, [Table("Pairs", tables.PAIRS, rows)])


def tags(sources: Sources) -> Section | None:
    """Return the AUCs of every tag; experiments with other labels have a chart and a table of their own."""
    charts, found, hidden = [], [], False
    for labels in dict.fromkeys(sources.config.experiments[name].labels for name in sources.ranked):
        names = [name for name in sources.ranked if sources.config.experiments[name].labels == labels]
        names, hidden = names[:COLUMNS], hidden or len(names) > COLUMNS
        of_tag = {name: _tag_rows(sources.metrics / "tags" / f"{name}.csv") for name in names}
        best = of_tag[names[0]]
        tags = sorted(best, key=lambda tag: -_number(best[tag]["roc_auc"], -1.0))
        columns = [(n, [_number(of_tag[n].get(tag, {}).get("roc_auc", "")) for tag in tags]) for n in names[:OVERLAID]]
        charts.append(svg.dot_chart(f"ROC-AUC of every tag of {labels}", tags, columns))
        header = ["tag", "positives"] + [f"{name}, {kind}" for name in names for kind in ("ROC", "PR")]
        rows = [
            [tag, best[tag]["positives"]]
            + [_rounded(of_tag[n].get(tag, {}).get(kind, "")) for n in names for kind in ("roc_auc", "pr_auc")]
            for tag in tags
        ]
        found.append(Table(f"Tags of {labels}", header, rows, filtered=True))
    text = [
        "ROC-AUC and PR-AUC of every tag, and how many test clips have it. Of a tag with few positives an AUC says "
        "little. By chance ROC-AUC is 0.5, and PR-AUC the share of positives."
    ]
    if hidden:
        text.append(f"The tables have the {COLUMNS} best experiments; metrics/tags has a file of each.")
    return Section("tags", "Tags", text, charts, found) if found else None


def _tag_rows(path: Path) -> dict[str, dict[str, str]]:
    header, rows = read_csv(path, ("tag", "positives", "roc_auc", "pr_auc"))
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def _number(text: str, absent: float = math.nan) -> float:
    return float(text) if text else absent


def _rounded(text: str) -> str:
    return f"{float(text):.3f}" if text else ""


def corpus(sources: Sources) -> Section | None:
    """Return how many clips each split has, what leaks from one to another, and what decoding made of the files."""
    config = sources.config
    splits, leaks, rejects, positives = list[list[str]](), list[list[str]](), list[list[str]](), list[Table]()
    for name in config.labels:
        if not (path := sources.metrics / "labels" / f"{name}.json").is_file():
            continue
        counts = read_metrics(path)
        for split in ("train", "valid", "test"):
            part = counts[split]
            splits.append([name, split, *(f"{part[key]}" for key in ("clips", "songs", "tags_without_positives"))])
        leaks.append([name, *(f"{counts.get(key, '')}" for key in LEAKS)])
        if (path := sources.metrics / "positives" / f"{name}.csv").is_file():
            positives.append(Table(f"Positives of {name}", *read_csv(path, ("tag",)), filtered=True))
    for rate in config.waveforms:
        if (path := sources.metrics / "decode" / f"{rate}.json").is_file():
            counts = read_metrics(path)
            rejects.append([f"{rate} Hz", *(f"{counts.get(key, '')}" for key in DECODED)])
    if not splits and not rejects:
        return None
    text = [
        f"The corpus is of kind {config.corpus.kind}{f', {config.corpus.name}' if config.corpus.name else ''}. A song "
        "in several splits leaks: a model may know the song and not the tag. So may an artist, more weakly."
    ]
    found = [
        Table("Splits", ("labels", "split", "clips", "songs", "tags without positives"), splits),
        Table("Leaks", ("labels", *LEAKS.values()), leaks),
        Table("Decoding", ("rate", *DECODED.values()), rejects),
    ]
    folded = {table.title: ((), (table,)) for table in positives}
    return Section(
        "corpus", "What the corpus holds", text, found=[table for table in found if table.rows], folded=folded
    )


def published_systems(sources: Sources) -> Section | None:
    """Return the systems that were trained here beside what their papers print."""
    rows = []
    for run in read_runs(sources.config, sources.metrics, sources.ranked, sources.classified):
        system = published.SYSTEMS[run.system]
        if system.task != "tags":
            continue
        test = run.content["test"]
        roc, figure = test["roc_auc"], system.published.get("roc_auc")
        data = f"{run.corpus}: {test['clips']} clips, {test['tags']['defined']} tags"
        interval = f"{roc['low']:.3f} to {roc['high']:.3f}"
        paper = "" if figure is None else f"{figure:.3f}"
        rows.append([run.system, f"{roc['macro']:.3f}", interval, paper, data, run.recipe, system.source])
    if not rows:
        return None
    header = ("system", "ROC-AUC, ours", "95 % interval", "in print", "ours measured on", "recipe", "paper")
    text = [
        "What was trained here of the published systems, by the experiments above and by `earmark papers`. All that is "
        "otherwise than published stands in docs/reproduction.md."
    ]
    return Section("published", "Published systems", text, found=[Table("Published systems", header, rows, True)])
