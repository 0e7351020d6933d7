"""What every command of ``earmark`` has in common: examples in its help, and how much it tells.

Nothing slow is imported here: ``earmark --help`` must be there at once.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from earmark.errors import VERBOSITY

FILES = "an audio file, or a folder with audio files at any depth"


class Parser(argparse.ArgumentParser):
    """A parser that takes ``--verbose``, ``--quiet`` and ``--debug``, whose help ends with examples as they stand.

    examples: command lines, of 77 characters at most, so that they fit into a terminal of 80 columns.
    """

    def __init__(self, *, examples: Sequence[str] = (), **options: Any) -> None:
        shown = "\n".join(["examples:" if len(examples) > 1 else "example:", *(f"  {line}" for line in examples)])
        options.setdefault("epilog", shown if examples else None)
        super().__init__(formatter_class=_Help, **options)
        self.examples = tuple(examples)
        told = self.add_argument_group("how much is told")
        for flags, about in (
            (("-v", "--verbose"), "also what is used, and how long it took"),
            (("-q", "--quiet"), "results, warnings and errors alone: no progress"),
            (("--debug",), "as --verbose, and an error's traceback"),
        ):
            name = flags[-1].removeprefix("--")
            told.add_argument(
                *flags, dest="verbosity", action="store_const", const=name, default=argparse.SUPPRESS, help=about
            )


class _Help(argparse.HelpFormatter):
    """Help whose paragraphs are filled, but for examples, which stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("example"):
            return "".join(f"{indent}{line}\n" for line in text.splitlines())
        return super()._fill_text(text, width, indent)


def command(commands: Any, name: str, about: str, *examples: str) -> Parser:
    """Add a command to those of a parser, and return its own.

    about: a line in the list of commands, and the sentence at the top of its own help.
    """
    sentence = f"{about[0].upper()}{about[1:]}."
    parser: Parser = commands.add_parser(name, help=about, description=sentence, examples=examples)
    return parser


def project(parser: argparse.ArgumentParser, metrics: bool = False) -> None:
    """Add what names the settings of a project and the folders that its pipeline fills."""
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="settings (default: %(default)s)")
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="the folder that the pipeline fills (default: %(default)s)"
    )
    if metrics:
        parser.add_argument("--metrics", type=Path, default=Path("metrics"), help="default: %(default)s")


def words(text: str) -> tuple[str, ...]:
    """Return the ``type`` of an option that is a list: split it at its commas.

    >>> words("train, valid")
    ('train', 'valid')
    """
    return tuple(word.strip() for word in text.split(",") if word.strip())


@contextmanager
def told_as(verbosity: str | None) -> Iterator[None]:
    """Have this process and those that it starts tell as much as asked for; None: as EARMARK_VERBOSITY says."""
    before = os.environ.get(VERBOSITY)
    if verbosity is not None:
        os.environ[VERBOSITY] = verbosity
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VERBOSITY, None)
        else:
            os.environ[VERBOSITY] = before


def every(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of all its commands, at any depth."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from every(inner)
