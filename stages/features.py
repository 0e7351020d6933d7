"""Compute one representation of every decoded clip."""

import argparse
from pathlib import Path

from earmark import progress
from earmark.config import entry, load
from earmark.errors import explained
from earmark.extract import extract


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("representation", help="a key of representations in params.yaml")
    parser.add_argument("--waveforms", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        settings = entry("representations", load(Path("params.yaml")).representations, args.representation)
        watch = progress.Stopwatch()
        counts = extract(args.waveforms, args.out, settings.model_dump(mode="json"))
        kept = counts["clips"] - counts["computed"]
        watch.report(f"features {args.representation}", counts["computed"], f"{kept} were up to date")


if __name__ == "__main__":
    main()
