"""Compute one representation of every decoded clip."""

import argparse
from pathlib import Path

from earmark import progress
from earmark.config import entry, load
from earmark.corpus.manifest import read_manifest
from earmark.decode.waveforms import Waveforms
from earmark.errors import explained
from earmark.features.extract import extract
from earmark.representations import resolve


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("representation", help="a key of representations in params.yaml")
    parser.add_argument("--waveforms", type=Path, required=True, help="the folder with the index of its rate")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        config = load(Path("params.yaml"))
        settings = resolve(entry("representations", config.representations, args.representation), args.representation)
        waveforms = Waveforms(args.waveforms, read_manifest(args.manifest), config.corpus.audio)
        watch = progress.Stopwatch()
        counts = extract(waveforms, args.out, settings.model_dump(mode="json"))
        kept = counts["clips"] - counts["computed"]
        watch.report(f"features {args.representation}", counts["computed"], f"{kept} were up to date")


if __name__ == "__main__":
    main()
