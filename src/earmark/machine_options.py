"""The options of the commands about this machine, and of `earmark inspect`; nothing slow is imported here."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from earmark.arguments import FILES, command, project


def add(commands: Any) -> None:
    """Add the commands to those of ``earmark``."""
    doctor = command(
        commands, "doctor", "what this machine offers, and whether the pipeline can run on it",
        "earmark doctor", "earmark doctor --json", "earmark doctor --mend",
    )  # fmt: skip
    project(doctor)
    doctor.add_argument("--json", action="store_true", help="print one JSON object in place of lines")
    doctor.add_argument("--mend", action="store_true", help="remove a lock that a killed DVC has left damaged")
    doctor.set_defaults(run=_run_doctor)
    inspect = command(
        commands, "inspect", "what an audio file holds, and how each representation sees it",
        "earmark inspect song.mp3 --plot song.png", "earmark inspect --clip 1234 --plot clip.png",
    )  # fmt: skip
    inspect.add_argument("file", type=Path, nargs="*", help=FILES)
    inspect.add_argument("--clip", metavar="ID", help="a clip of the corpus, by its id in the manifest")
    inspect.add_argument("--plot", type=Path, metavar="PNG", help="draw the wave, mel, constant-Q and scattering of it")
    project(inspect)
    inspect.set_defaults(run=_run_inspect)


def _run_doctor(args: Namespace) -> int:
    from earmark.doctor.command import run

    return run(args)


def _run_inspect(args: Namespace) -> int:
    from earmark.inspection.command import run

    return run(args)
