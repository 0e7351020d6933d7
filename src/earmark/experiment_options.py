"""The options of the commands about experiments and systems; nothing slow is imported here."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from earmark.arguments import command, project, words
from earmark.environment import positive, whole


def add(commands: Any) -> None:
    """Add the commands to those of ``earmark``."""
    _errors(commands)
    _crossvalidate(commands)
    _papers(commands)
    _leaderboard(commands)
    _compare(commands)
    _add(commands)
    _systems(commands)
    _probe(commands)


def _errors(commands: Any) -> None:
    errors = command(
        commands, "errors", "the worst mistakes of an experiment on the test split",
        "earmark errors linear", "earmark errors linear --tag violin --csv mistakes.csv",
    )  # fmt: skip
    errors.add_argument("experiment", help="an experiment of params.yaml")
    errors.add_argument("--tag", help="its mistakes with this tag alone")
    errors.add_argument("--csv", type=Path, metavar="FILE", help="write all of them into a CSV")
    errors.add_argument("--top", type=whole, default=10, metavar="N", help="rows per table (default: %(default)s)")
    project(errors)
    errors.set_defaults(run=_run_errors)


def _crossvalidate(commands: Any) -> None:
    folds = command(
        commands, "crossvalidate", "score every labelled clip by models that heard no artist of it",
        "earmark crossvalidate linear mel-2d-cnn --folds 5", "earmark crossvalidate linear --splits train,valid",
    )  # fmt: skip
    folds.add_argument("experiment", nargs="+", help="experiments of params.yaml, of one set of labels")
    folds.add_argument("--folds", type=whole, default=5, metavar="N", help="default: %(default)s")
    folds.add_argument("--groups", choices=("artist", "song"), default="artist", help="default: %(default)s")
    folds.add_argument("--seed", type=int, default=1, help="of the folds (default: %(default)s)")
    folds.add_argument(
        "--splits", type=words, default=("train", "valid", "test"), metavar="SPLIT,SPLIT", help="default: all clips"
    )
    project(folds)
    folds.set_defaults(run=_run_crossvalidate)


def _papers(commands: Any) -> None:
    papers = command(
        commands, "papers", "train every published system on the configured corpus",
        "earmark papers --minutes 10", "earmark papers musicnn crnn --recipe published",
    )  # fmt: skip
    papers.add_argument("system", nargs="*", help="names of earmark.systems.published (default: all)")
    papers.add_argument("--recipe", choices=("published", "quick"), default="quick", help="default: %(default)s")
    papers.add_argument("--labels", help="an entry of labels in params.yaml (default: its first one)")
    papers.add_argument("--minutes", type=positive, help="a system trains no longer than this (default: no limit)")
    project(papers)
    papers.add_argument("--metrics", type=Path, default=Path("metrics/papers"), help="default: %(default)s")
    papers.set_defaults(run=_run_papers)


def _leaderboard(commands: Any) -> None:
    leaderboard = command(
        commands, "leaderboard", "the experiments of the workspace and of DVC, the best first",
        "earmark leaderboard --baseline linear", "earmark leaderboard --csv runs.csv",
    )  # fmt: skip
    leaderboard.add_argument("--baseline", help="what those of params.yaml are compared with (default: its first one)")
    leaderboard.add_argument("--markdown", action="store_true", help="print a Markdown table")
    leaderboard.add_argument("--csv", type=Path, metavar="FILE", help="write the rows to a CSV file, too")
    leaderboard.set_defaults(run=_run_leaderboard)


def _compare(commands: Any) -> None:
    compare = command(
        commands, "compare", "whether the experiments here differ from those of another revision",
        "earmark compare HEAD~1", "earmark compare main --experiment linear --markdown",
    )  # fmt: skip
    compare.add_argument("revision", help="a branch, tag or hash, HEAD~1, or an experiment of DVC")
    compare.add_argument(
        "--experiment", action="extend", nargs="+", default=[], metavar="NAME", help="default: those that both have"
    )
    compare.add_argument("--markdown", action="store_true", help="print it for a pull request")
    project(compare, metrics=True)
    compare.set_defaults(run=_run_compare)


def _add(commands: Any) -> None:
    add = command(
        commands, "add", "write published systems, with all that they need, into params.yaml",
        "earmark add musicnn --recipe quick", "earmark add crnn --name mine --dry-run",
    )  # fmt: skip
    add.add_argument("system", nargs="+", help="names that `earmark systems` lists")
    add.add_argument("--recipe", choices=("published", "quick"), default="published", help="default: %(default)s")
    add.add_argument("--name", help="what the experiment is called (default: as the system)")
    add.add_argument("--labels", help="an entry of labels in params.yaml (default: one as in the paper)")
    add.add_argument(
        "--classes", type=words, default=(), metavar="TAG,TAG", help="what exclusive classes are told apart"
    )
    add.add_argument(
        "--groups", choices=("artist", "song"), default="artist", help="what folds keep together (default: %(default)s)"
    )
    add.add_argument("--params", type=Path, default=Path("params.yaml"), help="settings (default: %(default)s)")
    add.add_argument("--dry-run", action="store_true", help="only show what would be added")
    add.set_defaults(run=_run_add)


def _systems(commands: Any) -> None:
    systems = command(
        commands, "systems", "the published systems: inputs, parameters, figures, recipes",
        "earmark systems", "earmark systems musicnn",
    )  # fmt: skip
    systems.add_argument("name", nargs="?", help="all about this one")
    systems.set_defaults(run=_run_systems)


def _probe(commands: Any) -> None:
    probe = command(
        commands, "probe", "which layer of an encoder says most about the tags",
        "earmark probe musicnn", "earmark probe musicnn --layers pool1,pool2 --csv layers.csv",
    )  # fmt: skip
    probe.add_argument("encoder", help="an entry of encoders in params.yaml")
    probe.add_argument("--layers", type=words, default=(), metavar="NAME,NAME", help="default: all that it has")
    probe.add_argument("--labels", help="an entry of labels in params.yaml (default: its first one)")
    probe.add_argument("--model", default="linear", help="a family that fits itself (default: %(default)s)")
    probe.add_argument("--markdown", action="store_true", help="print a Markdown table")
    probe.add_argument("--csv", type=Path, metavar="FILE", help="write the rows to a CSV file, too")
    project(probe)
    probe.set_defaults(run=_run_probe)


def _run_errors(args: Namespace) -> int:
    from earmark.config import load
    from earmark.evaluation.examine import examine

    found = examine(load(args.params), args.data, args.experiment, args.tag)
    if args.csv is not None:
        found.write(args.csv)
    print(found.text(args.top), end="")
    return 0


def _run_crossvalidate(args: Namespace) -> int:
    from earmark.training import folds, validation

    wish = folds.Wish(args.folds, args.groups, args.seed, args.splits)
    print(folds.table(validation.load(args.params), args.experiment, args.data, wish), end="")
    return 0


def _run_papers(args: Namespace) -> int:
    from earmark.papers.command import train

    return train(
        args.program, args.system, args.params, args.labels, args.recipe, args.minutes, args.data, args.metrics
    )


def _run_leaderboard(args: Namespace) -> int:
    from earmark.report import dvc_experiments

    print(dvc_experiments.ranked(Path(), args.baseline, args.csv).text(args.markdown), end="")
    return 0


def _run_compare(args: Namespace) -> int:
    from earmark.evaluation import revisions

    places = args.params, args.data, args.metrics
    print(revisions.compare_with(args.revision, args.experiment, *places, Path(), args.markdown), end="")
    return 0


def _run_add(args: Namespace) -> int:
    from earmark.systems.add import Wish, add
    from earmark.training import validation

    wish = Wish(args.recipe, args.name, args.labels, args.classes, args.groups)
    print(add(args.params, args.system, wish, validation.require, args.dry_run), end="")
    return 0


def _run_systems(args: Namespace) -> int:
    from earmark.systems import listing

    print(listing.table() if args.name is None else listing.about(args.name), end="")
    return 0


def _run_probe(args: Namespace) -> int:
    from earmark.config import load
    from earmark.probe.run import Probe

    found = Probe.open(load(args.params), args.encoder, args.labels, args.model, args.data).run(args.layers)
    if args.csv is not None:
        found.write(args.csv)
    print(found.text(args.markdown), end="")
    return 0
