"""The options of `earmark predict`, `tag`, `bundle` and `export`; nothing slow is imported here."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from earmark.arguments import FILES, command, project
from earmark.environment import share, whole


def add(commands: Any) -> None:
    """Add the commands to those of ``earmark``."""
    _predict(commands)
    _tag(commands)
    bundle = command(
        commands, "bundle", "one file with all that predicts by an experiment, for other machines",
        "earmark bundle linear -o best.earmark --licence CC-BY-4.0",
    )  # fmt: skip
    bundle.add_argument("experiment", help="a key of experiments in params.yaml, or the folder of a model")
    bundle.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="it ends in .earmark")
    bundle.add_argument("--licence", default="not stated", help="of the model, for its card (default: %(default)s)")
    project(bundle)
    bundle.set_defaults(run=_bundle)
    export = command(
        commands, "export", "a trained experiment as a graph for runtimes without earmark",
        "earmark export mel-2d-cnn --onnx tagger.onnx --wave", "earmark export linear --torch tagger.pt2",
    )  # fmt: skip
    export.add_argument("experiment", help="a key of experiments in params.yaml, or the folder of a model")
    export.add_argument("--onnx", type=Path, metavar="FILE", help="the network, from features to probabilities")
    export.add_argument("--wave", action="store_true", help="of ONNX: from the wave on; for models that hear mel")
    export.add_argument(
        "--torch", type=Path, metavar="FILE", help="all of it, from the wave on, by torch.export (.pt2)"
    )
    project(export)
    export.set_defaults(run=_export)


def _what(parser: ArgumentParser) -> None:
    """Add what names files, a model and tags."""
    parser.add_argument("file", type=Path, nargs="+", help=FILES)
    parser.add_argument(
        "--model",
        help="an experiment of params.yaml (default: its first one), a bundle, a model's file or folder, or weights",
    )
    parser.add_argument("--top", type=whole, metavar="N", help="the N most probable tags alone")
    parser.add_argument("--min", type=share, default=0.0, metavar="P", help="tags of at least P alone")
    parser.add_argument("--tags", metavar="TAG,TAG", help="these tags alone")
    parser.add_argument(
        "--threshold", type=share, metavar="P",
        help="from which a tag is predicted (default: per tag, as the validation split chose it)",
    )  # fmt: skip
    project(parser)


def _predict(commands: Any) -> None:
    parser = command(
        commands, "predict", "tags of audio files and folders by a trained experiment or a bundle",
        "earmark predict song.mp3", "earmark predict music --model best.earmark --top 5 --csv tags.csv",
        "earmark predict song.mp3 --timeline --plot pictures",
    )  # fmt: skip
    _what(parser)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print one JSON array in place of tables")
    shown.add_argument("--jsonl", action="store_true", help="print a line of JSON per file, as each is done")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a row per file and tag (- prints them)")
    parser.add_argument("--timeline", action="store_true", help="the tags of each segment, with its time")
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="write the timeline of each file as a PNG there")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="a CSV of file and 0 or 1 per tag, to be judged by")
    parser.add_argument("--device", help="cpu, cuda, cuda:N or mps (default: EARMARK_DEVICE)")
    parser.set_defaults(run=_run)


def _tag(commands: Any) -> None:
    parser = command(
        commands, "tag", "write predicted tags beside files, into them, or into playlists",
        "earmark tag music --dry-run", "earmark tag music --write m3u --out playlists", "earmark tag music --undo",
    )  # fmt: skip
    _what(parser)
    parser.add_argument(
        "--write", choices=("sidecar", "id3", "m3u"), default="sidecar",
        help="a JSON file beside each, the file's own tags (the extra tags), or a playlist per tag "
        "(default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="of m3u: where the playlists shall be")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    parser.add_argument("--undo", action="store_true", help="take out what was written before")
    parser.set_defaults(run=_run_tag)


def _run(args: Namespace) -> int:
    from earmark import predict_files

    return predict_files.run(args)


def _bundle(args: Namespace) -> int:
    from earmark.travel import command

    print(command.write_bundle(args.params, args.experiment, args.data, args.out, args.licence), end="")
    return 0


def _export(args: Namespace) -> int:
    from earmark.travel import command

    found = command.export(args.params, args.experiment, args.data, args.onnx, args.torch, args.wave)
    print(found, end="")
    return 0


def _run_tag(args: Namespace) -> int:
    from earmark.tagging import command

    return command.run(args)
