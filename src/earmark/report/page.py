"""The report: a page of all experiments and cross-validations, from the metrics files that are here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from earmark import progress
from earmark.config import Config
from earmark.evaluation.comparison import ALL, Difference, compare_files, leader, summary, verdict
from earmark.evaluation.details import read_metrics, trainings_of
from earmark.evaluation.experiment import headline
from earmark.files import markdown_table, write_json, write_text
from earmark.papers.reproduction import document, read_runs
from earmark.report import contents, html, quality, tables
from earmark.report.fusions import Fused, measured
from earmark.report.parts import OVERLAID, Sources
from earmark.training import validation

WRITTEN_FOR = {  # by section of params.yaml: the folders of metrics that have a file for each of its entries
    "experiments": ("experiments", "details", "tags", "roc", "training"),
    "crossvalidations": ("crossvalidations", "confusion"),
    "labels": ("labels", "positives"),
    "waveforms": ("decode",),
}


@dataclass(frozen=True)
class Present:
    """What can be reported: experiments with metrics, those with scores, cross-validations with metrics.

    notes: a line for everything that is missing.
    """

    evaluated: list[str]
    compared: list[str]
    classified: list[str]
    notes: list[str]


def write_report(
    params: Path,
    metrics: Path,
    scores: Path,
    labels: Path,
    logs: Path,
    out: Path,
    comparison: Path,
    fusions: Path,
    reproduction: Path,
    browser: Path,
) -> None:
    """Run the stage ``report``: write the tables ``out``, the pairs, the fusions, the published systems, and the page.

    params: the path of params.yaml. metrics, scores, logs: the folders of all metrics, of the experiments' scores, and
    of the seconds that stages took. comparison, fusions: the files of the pairs, and of the few figures of every
    fusion. reproduction: the page of the published systems beside their papers. browser: all of it and charts, in HTML.
    Files of entries that params.yaml no longer has are removed first.

    Raises EarmarkError if a setting is wrong, or if a file is damaged.
    """
    watch = progress.Stopwatch()
    config = validation.load(params)
    if gone := remove_leftovers(config, metrics, scores, labels):
        print(f"report: removed what params.yaml no longer has: {', '.join(map(str, gone))}")
    present, drawn = survey(config, metrics, scores, labels), config.evaluation
    files = {name: labels_of(config, name, labels) for name in present.compared}
    trained = {name: trainings_of(read_metrics(metrics / "details" / f"{name}.json")) for name in present.compared}
    unseeded = [name for name, trainings in trained.items() if not trainings[0]["seeded"]]
    validation_of = {name: fmean(one["valid_roc_auc"] for one in trainings) for name, trainings in trained.items()}
    joined, notes = measured(config, files, metrics, scores)
    present.notes.extend(notes)
    unseeded += [name for name, fusion in joined.items() if not fusion.seeded]
    files |= {name: fusion.labels for name, fusion in joined.items()}
    held = {name: fusion.scores for name, fusion in joined.items()}
    pairs = compare_files(scores, files, unseeded, drawn.resamples, drawn.seed, held, validation_of)
    present.notes.extend(too_many(files, validation_of))
    write_json(comparison, summary(pairs))
    write_json(fusions, {name: headline(fusion.test) for name, fusion in joined.items()})
    write_text(out, page(metrics, present, pairs, joined))
    write_text(browser, browsable(config, metrics, scores, files, present, pairs, joined))
    write_text(reproduction, document(read_runs(config, metrics, present.evaluated, present.classified)))
    for line in (*spent(logs, config), *present.notes):
        print(line)
    watch.report("report", 0, f"{len(present.evaluated)} experiments, see {out}")


def survey(config: Config, metrics: Path, scores: Path, labels: Path) -> Present:
    """Return which experiments and cross-validations have their files here; a clone need not have pulled them all."""
    notes: list[str] = []

    def having(names: Iterable[str], folder: Path, suffix: str, lack: str) -> list[str]:
        files = {name: folder / f"{name}{suffix}" for name in names}
        notes.extend(lack.format(name=n, file=f.as_posix()) for n, f in files.items() if not f.is_file())
        return [name for name, file in files.items() if file.is_file()]

    unmeasured = "not measured: {name}, {file} is not here: `dvc repro "
    evaluated = having(config.experiments, metrics / "experiments", ".json", unmeasured + "evaluate@{name}`")
    compared = having(evaluated, scores, ".csv", "not compared: {name}, its scores are not here: `dvc pull {file}`")
    for name in list(compared):
        if not (file := labels_of(config, name, labels)).is_file():
            notes.append(f"not compared: {name}, its labels are not here: `dvc pull {file.parent.as_posix()}`")
            compared.remove(name)
    classified = having(
        config.crossvalidations, metrics / "crossvalidations", ".json", unmeasured + "crossvalidate@{name}`"
    )
    return Present(evaluated, compared, classified, notes)


def labels_of(config: Config, experiment: str, labels: Path) -> Path:
    """Return the table of the labels of an experiment, in the folder of all sets of labels."""
    return labels / config.experiments[experiment].labels / "labels.csv"


def too_many(labels: Mapping[str, Path], validation_of: Mapping[str, float]) -> Iterator[str]:
    """Yield a line for each table of labels that has more experiments than all pairs of them are compared."""
    for file in dict.fromkeys(labels.values()):
        names = [name for name in labels if labels[name] == file]
        if len(names) > ALL:
            yield (
                f"not compared: all pairs of the {len(names):,} experiments on {file.parent.name}, which are more than "
                f"{ALL}; each is compared with {leader(names, validation_of)}, the best one on the validation split"
            )


def page(
    metrics: Path, present: Present, pairs: Sequence[Difference], fusions: Mapping[str, Fused] | None = None
) -> str:
    """Return the tables of experiments, pairs and cross-validations, and the notes; empty parts are left out."""
    experiments = tables.experiments(metrics, present.evaluated, fusions)
    crossvalidations = tables.crossvalidations(metrics / "crossvalidations", present.classified)
    parts = [
        markdown_table(experiments, tables.EXPERIMENTS),
        f"{markdown_table(tables.pairs(pairs), tables.PAIRS)}\n{verdict(pairs)}\n" if pairs else "",
        markdown_table(crossvalidations, tables.CROSSVALIDATIONS) if crossvalidations else "",
        "".join(f"- {note}\n" for note in present.notes),
    ]
    return "\n".join(part for part in parts if part)


def browsable(
    config: Config,
    metrics: Path,
    scores: Path,
    labels: Mapping[str, Path],
    present: Present,
    pairs: Sequence[Difference],
    fusions: Mapping[str, Fused],
) -> str:
    """Return the page for a browser. labels: by experiment, the table of its labels.

    Raises EarmarkError if a file is damaged, or if scores do not fit their labels.
    """
    best = contents.ranked(metrics, present.evaluated)
    here = {
        name: quality.read(name, scores / f"{name}.csv", labels[name], metrics / "tags" / f"{name}.csv")
        for name in best[:OVERLAID]
        if name in present.compared
    }
    sources = Sources(config, metrics, best, present.classified, here, pairs, fusions, present.notes)
    corpus = config.corpus.name or f"corpus {config.corpus.kind}"
    return html.document(f"earmark: {corpus}", contents.sections(sources))


def remove_leftovers(config: Config, metrics: Path, scores: Path, labels: Path) -> list[Path]:
    """Remove metrics, plots, scores and labels of entries that params.yaml no longer has; return what was removed.

    DVC forgets a stage that is gone but leaves its files, which would pass for results of today; and what the report
    depends on, whole folders, would be another here than in a new clone.
    """
    folders = [(metrics / folder, section) for section, names in WRITTEN_FOR.items() for folder in names]
    gone = []
    for folder, section in [*folders, (scores, "experiments")]:
        names = set(map(str, getattr(config, section)))
        files = [file for file in sorted(folder.glob("*")) if file.suffix in (".json", ".csv")]
        gone += [file for file in files if file.stem not in names]
    held = {labels / name / "labels.csv" for name in config.labels}
    gone += [file for file in sorted(labels.rglob("labels.csv")) if file not in held]
    for file in gone:
        file.unlink()
        if file.parent.parent == labels and not any(file.parent.iterdir()):
            file.parent.rmdir()
    return gone


def spent(logs: Path, config: Config) -> list[str]:
    """Return a line for each experiment and cross-validation with the seconds of its last run, if the logs hold them.

    logs: a folder of JSON lines with "stage", "name" and "seconds". The lines returned are for the terminal alone: with
    a time in a file that git or DVC hashes, equal results would differ.
    """
    found = {(entry.get("stage"), entry.get("name")): entry.get("seconds") for entry in _entries(logs)}
    wanted = [("train", name) for name in config.experiments]
    wanted += [("crossvalidate", name) for name in config.crossvalidations]
    times = [(stage, name, found.get((stage, name))) for stage, name in wanted]
    return [f"{stage} {name}: {seconds:.1f} s" for stage, name, seconds in times if isinstance(seconds, int | float)]


def _entries(logs: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of all logs; a line that was cut short is passed over."""
    for file in sorted(logs.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry
