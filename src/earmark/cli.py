"""The ``earmark`` command: what is not a stage of the pipeline."""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from earmark import corpus_options, experiment_options, machine_options, predict_options
from earmark.arguments import Parser, command, every, told_as
from earmark.bench import options as bench_options
from earmark.embeddings import options as embedding_options
from earmark.environment import verbosity
from earmark.errors import explained
from earmark.listening import options as listening_options


def command_line() -> Parser:
    """Return the commands and their options."""
    parser = Parser(
        prog="earmark",
        description="Music tagging: features, taggers, honest metrics.",
        examples=("earmark doctor", "earmark predict song.mp3", "earmark predict --help"),
    )
    parser.set_defaults(program=["-m", "earmark.cli"])  # for a command that runs others in processes of their own
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (
        machine_options, predict_options, embedding_options, experiment_options, listening_options, corpus_options,
        bench_options,
    ):  # fmt: skip
        module.add(commands)
    completion = command(
        commands, "completion", "print what has a shell complete the commands of earmark",
        "earmark completion bash > ~/.local/share/bash-completion/completions/earmark",
        "earmark completion zsh > ~/.zfunc/_earmark",
    )  # fmt: skip
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose completion it is")
    completion.set_defaults(run=_complete)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run one command; the exit code is 1 for an error that the user can mend."""
    args = command_line().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # the name of a file need not be text
            stream.reconfigure(errors="backslashreplace")
    with told_as(getattr(args, "verbosity", None)), explained():
        started = time.perf_counter()
        code = int(args.run(args))
        if verbosity() in ("verbose", "debug"):
            sys.stdout.flush()
            print(f"earmark: {time.perf_counter() - started:.1f} s in all", file=sys.stderr)
        return code


def _complete(args: argparse.Namespace) -> int:
    """Print the completion of a shell; an option or argument that is a path is completed by files."""
    import shtab

    parser = command_line()
    for one in every(parser):
        for action in one._actions:
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, args.shell))
    return 0


if __name__ == "__main__":
    sys.exit(main())
