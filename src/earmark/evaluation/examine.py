"""The mistakes of an experiment on the test split, from the files that the pipeline has written, as table and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np

from earmark.config import Config, entry
from earmark.corpus.label_table import read_labels
from earmark.corpus.manifest import read_manifest
from earmark.errors import EarmarkError
from earmark.evaluation import mistakes
from earmark.evaluation.mistakes import FALSE_NEGATIVE, FALSE_POSITIVE, Confusion, Judged, Mistake
from earmark.evaluation.scoring import read_scores
from earmark.files import markdown_table, write_csv
from earmark.models.saved import FILE, SavedModel, model_folders
from earmark.sections import near


@dataclass(frozen=True)
class Inputs:
    """Where the pipeline keeps what tells the mistakes of an experiment; models: by their seeds."""

    scores: Path
    labels: Path
    manifest: Path
    models: dict[int, Path]


def inputs(config: Config, data: Path, name: str) -> Inputs:
    """Return the files of an experiment under ``data``.

    Raises EarmarkError if params.yaml has no such experiment, or if a file is missing; it names the command that makes
    the file.
    """
    experiment = entry("experiments", config.experiments, name)
    folders = model_folders(data / "models" / name, experiment.seeds)
    found = Inputs(
        data / "scores" / f"{name}.csv",
        data / "labels" / experiment.labels / "labels.csv",
        data / "corpus/manifest.csv",
        {seed: folder / FILE for seed, folder in folders.items()},
    )
    makers = [
        (found.scores, f"evaluate@{name}"),
        (found.labels, f"labels@{experiment.labels}"),
        (found.manifest, "corpus"),
        *((file, f"train@{name}") for file in found.models.values()),
    ]
    for file, stage in makers:
        if not file.is_file():
            raise EarmarkError(f"{file} does not exist; run `dvc repro {stage}`, or `dvc pull` it")
    return found


def read(config: Config, data: Path, name: str) -> Judged:
    """Return the test split as an experiment of params.yaml has scored it.

    Of several seeds, scores and thresholds are the means. Raises EarmarkError if there is no such experiment, if a file
    is missing, or if the files do not belong together.
    """
    files = inputs(config, data, name)
    scores = read_scores(files.scores)
    clips, table = read_labels(files.labels)
    models = {seed: SavedModel.load(file) for seed, file in files.models.items()}
    rows = {clip.clip_id: row for row, clip in enumerate(clips)}
    paths = {clip.clip_id: clip.path for clip in read_manifest(files.manifest)}
    for what, fits in (
        (f"the tags of {files.labels}", scores.tags == table.tags),
        (f"the clips of {files.labels}", rows.keys() >= set(scores.clip_ids)),
        (f"the clips of {files.manifest}", paths.keys() >= set(scores.clip_ids)),
        (f"the tags of its models in {data / 'models' / name}", {m.tags for m in models.values()} == {scores.tags}),
        (f"experiments.{name}.seeds, {sorted(models)}", set(scores.seeds) == set(models)),
    ):
        if not fits:
            raise EarmarkError(f"{files.scores} does not fit {what}; run `dvc repro evaluate@{name}`")
    chosen = [rows[clip] for clip in scores.clip_ids]
    return Judged(
        scores.clip_ids,
        [clips[row].song for row in chosen],
        [paths[clip] for clip in scores.clip_ids],
        scores.tags,
        scores.values.mean(axis=0),
        table.values[chosen],
        np.mean([model.decisive for model in models.values()], axis=0),
    )


@dataclass(frozen=True)
class Examined:
    """The mistakes of an experiment and the tags that it confuses, the worst first, among so many clips and tags."""

    experiment: str
    clips: int
    tags: int
    mistakes: list[Mistake]
    confusions: list[Confusion]

    def write(self, path: Path) -> None:
        """Write all mistakes as a CSV; ``sure`` is empty where it is not defined."""
        rows = ([*m[:5], *("" if isnan(value) else f"{value:.9g}" for value in m[5:])] for m in self.mistakes)
        write_csv(path, Mistake._fields, rows)

    def text(self, top: int) -> str:
        """Return the ``top`` worst of each kind as tables for the terminal."""
        positive, negative = ([m for m in self.mistakes if m.kind == kind] for kind in (FALSE_POSITIVE, FALSE_NEGATIVE))
        tags = f"{self.tags} tags" if self.tags > 1 else "1 tag"
        return "\n".join(
            [
                f"{self.experiment}, test split: {self.clips} clips, {tags}\n",
                _section(FALSE_POSITIVE, "predicted, but the clip lacks the tag", positive, top),
                _section(FALSE_NEGATIVE, "not predicted, but the clip has the tag", negative, top),
                _pairs(self.confusions[:top]),
            ]
        )


def examine(config: Config, data: Path, name: str, tag: str | None = None) -> Examined:
    """Return the mistakes of an experiment on the test split, only those with ``tag`` if one is given.

    Raises EarmarkError as ``read`` does, and if there is no such tag.
    """
    judged = read(config, data, name)
    if tag is not None and tag not in judged.tags:
        hint = near(tag, judged.tags) or f": there are {', '.join(judged.tags)}"
        raise EarmarkError(f"{name} has no tag {tag!r}{hint}")
    only = None if tag is None else [tag]
    wrong, confused = mistakes.mistakes(judged, only), mistakes.confusions(judged, only)
    return Examined(name, len(judged.clip_ids), len(only or judged.tags), wrong, confused)


def _section(title: str, meaning: str, found: Sequence[Mistake], top: int) -> str:
    if not found:
        return f"No {title}s: {meaning}.\n"
    some = "the surest" if top == 1 else f"the {top} surest"
    count = f"{len(found)} {title}{'s' * (len(found) > 1)}{f', {some}' if len(found) > top else ''}"
    rows = [
        (m.tag, "-" if isnan(m.sure) else f"{m.sure:.2f}", f"{m.score:.3f}", f"{m.threshold:.3f}", m.clip_id, m.file)
        for m in found[:top]
    ]
    return f"{count}: {meaning}.\n\n{markdown_table(rows, ('tag', 'sure', 'score', 'threshold', 'clip', 'file'))}"


def _pairs(found: Sequence[Confusion]) -> str:
    if not found:
        return "No tag is predicted for three clips or more that lack it because they have another.\n"
    header = ("has", "taken for", "clips", "predicted", "songs", "usual", "lift")
    rows = [
        (c.has, c.taken_for, str(c.clips), str(c.predicted), str(c.songs), f"{100 * c.base:.0f} %", f"{c.lift:.1f}")
        for c in found
    ]
    meaning = "how many clips with the first tag got the second, which they lack, and how usual that is"
    return f"Tags that are taken for others, most mistakes first: {meaning}.\n\n{markdown_table(rows, header)}"
