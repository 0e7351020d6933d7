"""Compute one representation of every decoded clip."""

import argparse
from pathlib import Path

from earmark import waiting  # noqa: F401 - it chooses before torch is loaded
from earmark.errors import explained
from earmark.features.extract import extract_representation


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("representation", help="a key of representations in params.yaml")
    parser.add_argument("--waveforms", type=Path, required=True, help="the folder with the index of its rate")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        extract_representation(Path("params.yaml"), **vars(args))


if __name__ == "__main__":
    main()
