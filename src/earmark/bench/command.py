"""`earmark bench`: run a benchmark and print its table."""

from __future__ import annotations

import argparse
import json
import sys

from earmark.bench import alone, beside, comparing, decoding, end_to_end, spectral, start, training
from earmark.bench.choices import TRANSFORMS
from earmark.errors import EarmarkError
from earmark.files import write_text


def run(args: argparse.Namespace) -> int:
    """Run the benchmark that `args` asks for, print its table, and return the exit status."""
    if args.beside is not None:
        result = beside.bench(_repeated(args), beside=args.beside, rounds=args.rounds)
        sys.stdout.write(beside.table(result))
    elif args.alone:
        require_measurable("--alone", args.kind)
        result = alone.bench(
            args.kind,
            batch=args.batch,
            rounds=args.rounds,
            threads=args.threads,
            systems=args.systems,
            steps=args.steps,
        )
        sys.stdout.write(alone.table(result))
    elif args.kind == "extract":
        result = end_to_end.bench(batch=args.batch, rounds=args.rounds, threads=args.threads)
        sys.stdout.write(end_to_end.table(result))
    elif args.kind == "compare":
        result = comparing.bench(rounds=args.rounds)
        sys.stdout.write(comparing.table(result))
    elif args.kind == "decode":
        result = decoding.bench(rounds=args.rounds)
        sys.stdout.write(decoding.table(result))
    elif args.kind == "start":
        result = start.bench(rounds=args.rounds)
        sys.stdout.write(start.table(result))
    elif args.kind == "train":
        result = training.bench(systems=args.systems, steps=args.steps, rounds=args.rounds, threads=args.threads)
        sys.stdout.write(training.table(result))
    else:
        result = spectral.bench(args.kind, batch=args.batch, rounds=args.rounds, threads=args.threads)
        sys.stdout.write(spectral.table(result))
    if args.json is not None:
        write_text(args.json, json.dumps(result, indent=2) + "\n")
    return 0


def _repeated(args: argparse.Namespace) -> list[str]:
    """Return the arguments with which a process measures the same once."""
    require_measurable("--beside", args.kind)
    given = [args.kind, "--alone", "--batch", str(args.batch)]
    if args.kind == "train":
        given += ["--steps", str(args.steps), "--systems", *args.systems]
    return given + (["--threads", str(args.threads)] if args.threads else [])


def require_measurable(option: str, kind: str) -> None:
    """Raise EarmarkError if an option does not go with what shall be measured."""
    known = (*TRANSFORMS, "train")
    if kind not in known:
        raise EarmarkError(f"{option} goes with {', '.join(known)}, got {kind}")
