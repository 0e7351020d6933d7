"""The options of `earmark bench`, and its tables."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from earmark.bench import beside, comparing, decoding, end_to_end, spectral, training
from earmark.environment import whole
from earmark.errors import EarmarkError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `earmark bench` to `parser`."""
    parser.add_argument(
        "kind", choices=(*spectral.KINDS, "decode", "extract", "compare", "train"), help="what to measure"
    )
    parser.add_argument("--batch", type=whole, default=16, help="clips per call of ours (default %(default)s)")
    parser.add_argument(
        "--rounds", type=whole, default=5, help="alternations of ours and the peer (default %(default)s)"
    )
    parser.add_argument(
        "--systems", nargs="+", default=training.DEFAULT, metavar="NAME", help="of train (default %(default)s)"
    )
    parser.add_argument("--steps", type=whole, default=12, help="of train, per round (default %(default)s)")
    parser.add_argument(
        "--beside", type=whole, metavar="N", help="of a transform or train: quiet, and beside N busy processes, in turn"
    )
    parser.add_argument("--threads", type=whole, help="CPU threads of both (default: torch's)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the benchmark that `args` asks for, print its table, and return the exit status."""
    if args.beside is not None:
        result = beside.bench(_repeated(args), beside=args.beside, rounds=args.rounds)
        sys.stdout.write(beside.table(result))
    elif args.kind == "extract":
        result = end_to_end.bench(batch=args.batch, rounds=args.rounds, threads=args.threads)
        sys.stdout.write(end_to_end.table(result))
    elif args.kind == "compare":
        result = comparing.bench(rounds=args.rounds)
        sys.stdout.write(comparing.table(result))
    elif args.kind == "decode":
        result = decoding.bench(rounds=args.rounds)
        sys.stdout.write(decoding.table(result))
    elif args.kind == "train":
        result = training.bench(systems=args.systems, steps=args.steps, rounds=args.rounds, threads=args.threads)
        sys.stdout.write(training.table(result))
    else:
        result = spectral.bench(args.kind, batch=args.batch, rounds=args.rounds, threads=args.threads)
        sys.stdout.write(spectral.table(result))
    if args.json is not None:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def _repeated(args: argparse.Namespace) -> list[str]:
    """Return the arguments with which a process measures the same once."""
    if args.kind not in (*spectral.KINDS, "train"):
        raise EarmarkError(f"--beside goes with {', '.join((*spectral.KINDS, 'train'))}, got {args.kind}")
    given = [args.kind, "--batch", str(args.batch)]
    if args.kind == "train":
        given += ["--steps", str(args.steps), "--systems", *args.systems]
    return given + (["--threads", str(args.threads)] if args.threads else [])
