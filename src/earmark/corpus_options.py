"""The options of the commands about a corpus and what is fetched; nothing slow is imported here."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from earmark.arguments import command, project
from earmark.errors import EarmarkError


def add(commands: Any) -> None:
    """Add the commands to those of ``earmark``."""
    corpus = command(
        commands, "corpus", "check the configured corpus, or fetch MagnaTagATune",
        "earmark corpus check", "earmark corpus magnatagatune --download",
    )  # fmt: skip
    about = corpus.add_subparsers(required=True, metavar="WHAT")
    check = command(
        about, "check", "what is there, what would be rejected, what would stop the pipeline",
        "earmark corpus check", "earmark corpus check --deep --csv pairs.csv",
    )  # fmt: skip
    check.add_argument("--params", type=Path, default=Path("params.yaml"), help="settings (default: %(default)s)")
    check.add_argument(
        "--deep", action="store_true", help="also which files sound the same under two names: all of them are decoded"
    )
    check.add_argument("--csv", type=Path, metavar="FILE", help="with --deep: write all pairs into a CSV")
    check.set_defaults(run=_run_check)
    fetch = command(
        about, "magnatagatune", "unpack MagnaTagATune's parts, and fetch them first if asked to",
        "earmark corpus magnatagatune --download --to /data/magnatagatune",
    )  # fmt: skip
    fetch.add_argument("--download", action="store_true", help="fetch what is not there yet")
    fetch.add_argument("--to", type=Path, default=Path("data/magnatagatune"), help="default: %(default)s")
    fetch.add_argument("--base-url", default=None, help="where the files lie, in place of the usual address")
    fetch.set_defaults(run=_run_magnatagatune)
    waveforms = command(
        commands, "waveforms", "how much the decoded waveforms take on this machine",
        "earmark waveforms", "earmark waveforms --prune",
    )  # fmt: skip
    waveforms.add_argument("--prune", action="store_true", help="delete those that no index of the data folder names")
    waveforms.add_argument("--data", type=Path, default=Path("data"), help="the folder that the pipeline fills")
    waveforms.set_defaults(run=_run_waveforms)
    clean = command(
        commands, "clean", "free the disk of what can be made again, and say how much that is",
        "earmark clean --dry-run", "earmark clean",
    )  # fmt: skip
    clean.add_argument("--dry-run", action="store_true", help="delete nothing, and say what would be freed")
    clean.add_argument("--unfinished", action="store_true", help="also the states of trainings that are not finished")
    project(clean)
    clean.set_defaults(run=_run_clean)
    verify = command(
        commands, "verify", "whether what is cached in data/ is still what the pipeline made",
        "earmark verify", "earmark verify --deep --repair",
    )  # fmt: skip
    verify.add_argument("--deep", action="store_true", help="read every byte, and not only sizes")
    verify.add_argument(
        "--repair", action="store_true", help="bring back what is not: from DVC's cache, remote or stage"
    )
    verify.add_argument("--data", type=Path, default=Path("data"), help="the folder that the pipeline fills")
    verify.set_defaults(run=_run_verify)
    weights = command(
        commands, "weights", "fetch published weights, as a model that predict takes by its name",
        "earmark weights", "earmark weights musicnn-mtt",
    )  # fmt: skip
    weights.add_argument("name", nargs="*", help="what this command lists without a name")
    weights.add_argument(
        "--from", dest="source", type=Path, metavar="WHEEL_OR_FOLDER", help="in place of pip's download"
    )
    weights.add_argument("--to", type=Path, default=Path("data/weights"), help="default: %(default)s")
    weights.set_defaults(run=_run_weights)


def _run_check(args: Namespace) -> int:
    from earmark.config import load
    from earmark.decode.check import check
    from earmark.features import room_needed
    from earmark.training import foreseen, validation

    if args.csv is not None and not args.deep:
        raise EarmarkError(f"--csv {args.csv} goes with --deep, which finds the pairs")
    config = load(args.params)
    found = check(config, validation.require, foreseen.stops)
    needs = room_needed.needs(config, found.usable, Path("data"))
    found.lines.extend(room_needed.lines(needs))
    found.stops.extend(room_needed.stops(needs))
    print(found.text(), end="")
    if args.deep:
        from earmark.duplicates import command as duplicates

        print(duplicates.check(config, args.csv), end="")
    return 1 if found.stops else 0


def _run_magnatagatune(args: Namespace) -> int:
    from earmark.download import magnatagatune

    print(magnatagatune.prepare(args.to, args.download, args.base_url), end="")
    return 0


def _run_waveforms(args: Namespace) -> int:
    from earmark.decode import disk

    disk.tell(args.data, args.prune)
    return 0


def _run_clean(args: Namespace) -> int:
    from earmark.clean import clean

    print(clean(args.data, args.params, args.dry_run, args.unfinished), end="")
    return 0


def _run_verify(args: Namespace) -> int:
    from earmark.verify import verify

    return verify(args.data, args.deep, args.repair)


def _run_weights(args: Namespace) -> int:
    from earmark.weights import command

    print(command.prepare(args.name, args.to, args.source), end="")
    return 0
