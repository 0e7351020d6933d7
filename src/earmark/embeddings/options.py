"""The options of `earmark embed` and `earmark similar`; nothing that takes time to import is imported here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from earmark.arguments import FILES, command, project
from earmark.environment import whole


def add(commands: Any) -> None:
    """Add both commands to those of ``earmark``."""
    embed = command(
        commands, "embed", "embeddings of audio files and folders by a layer of a trained network",
        "earmark embed music --out music.h5", "earmark embed music --out music.npz --per-segment",
    )  # fmt: skip
    embed.add_argument("file", type=Path, nargs="+", help=FILES)
    embed.add_argument("--out", type=Path, required=True, help="the table: it ends in .h5, .npz or .parquet")
    _add_network(embed)
    embed.add_argument("--per-segment", action="store_true", help="a row per segment, with its start in seconds")
    embed.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="default: %(default)s")
    embed.set_defaults(run=_embed)
    similar = command(
        commands, "similar", "the clips of the corpus that are nearest to an audio file",
        "earmark similar song.mp3 --top 5",
    )  # fmt: skip
    similar.add_argument("file", type=Path, nargs="+", help="an audio file")
    _add_network(similar)
    similar.add_argument("--top", type=whole, default=10, metavar="N", help="clips per file (default: %(default)s)")
    similar.add_argument("--metric", choices=("cosine", "euclidean"), default="cosine", help="default: %(default)s")
    form = similar.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON in place of tables")
    form.add_argument("--csv", action="store_true", help="print CSV in place of tables")
    similar.set_defaults(run=_similar)


def _add_network(parser: argparse.ArgumentParser) -> None:
    """Add what chooses a layer of a network."""
    parser.add_argument(
        "--model",
        help="an experiment of params.yaml (default: its first one), an encoder of it, weights, or a model's file or "
        "folder",
    )
    parser.add_argument("--layer", help="default: the input of the last linear layer, or what the encoder gives")
    project(parser)


def _embed(args: argparse.Namespace) -> int:
    from earmark.embeddings import command

    return command.embed(args)


def _similar(args: argparse.Namespace) -> int:
    from earmark.embeddings import command

    return command.find_similar(args)
