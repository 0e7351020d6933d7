"""The options of `earmark listen`; nothing that takes time to import is imported here."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

from earmark.arguments import command, project

PORTS = range(2**16)


def add(commands: Any) -> None:
    """Add the command to those of ``earmark``."""
    listen = command(
        commands, "listen", "a page for a browser: hear the test clips, see what a tagger hears",
        "earmark listen", "earmark listen scat-5l-512h-gru --port 0",
    )  # fmt: skip
    listen.add_argument("experiment", nargs="?", help="an experiment of params.yaml (default: its first one)")
    listen.add_argument("--port", type=_port, default=8765, help="of 127.0.0.1, 0 for any (default: %(default)s)")
    project(listen)
    listen.add_argument("--metrics", type=Path, default=Path("metrics"), help="what the pipeline measured")
    listen.add_argument("--report", type=Path, default=Path("report/index.html"), help="what the stage report writes")
    listen.set_defaults(run=_listen)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) not in PORTS:
        raise argparse.ArgumentTypeError(f"must be from 0 to {PORTS[-1]}, got {text!r}")
    return int(text)


def _listen(args: argparse.Namespace) -> int:
    from earmark.config import load
    from earmark.listening.command import open_server

    places = args.data, args.metrics, args.report
    with open_server(load(args.params), args.experiment, *places, args.port) as server:
        print(f"{server.experiment}: {server.address} (Ctrl+C ends it)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0
