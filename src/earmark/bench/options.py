"""The options of `earmark bench`; the peers, which take seconds to import, are imported when it runs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from earmark.arguments import command
from earmark.bench.choices import KINDS, SYSTEMS
from earmark.environment import whole


def add(commands: Any) -> None:
    """Add the command to those of ``earmark``."""
    bench = command(
        commands, "bench", "speed against kymatio and librosa, measured in the same run",
        "earmark bench mel --rounds 5", "earmark bench start",
    )  # fmt: skip
    bench.add_argument("kind", choices=KINDS, metavar="KIND", help=f"what to measure: {', '.join(KINDS)}")
    bench.add_argument("--batch", type=whole, default=16, help="clips per call of ours (default: %(default)s)")
    bench.add_argument(
        "--rounds", type=whole, default=5, help="alternations of ours and the peer (default: %(default)s)"
    )
    bench.add_argument(
        "--systems", nargs="+", default=SYSTEMS, metavar="NAME", help=f"of train (default: {' '.join(SYSTEMS)})"
    )
    bench.add_argument("--steps", type=whole, default=12, help="of train, per round (default: %(default)s)")
    bench.add_argument(
        "--beside", type=whole, metavar="N", help="of a transform or train: quiet, and beside N busy processes, in turn"
    )
    bench.add_argument("--alone", action="store_true", help="of a transform or train: without the peer")
    bench.add_argument("--threads", type=whole, help="CPU threads of both (default: torch's)")
    bench.add_argument("--json", type=Path, metavar="PATH", help="also write the result as JSON")
    bench.set_defaults(run=_run)


def _run(args: Namespace) -> int:
    from earmark.bench import command

    return command.run(args)
