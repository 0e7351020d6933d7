"""Fit mean and deviation of every feature dimension on the training split."""

import argparse
from pathlib import Path

from earmark.errors import explained
from earmark.features.standardize import fit_training_split


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        fit_training_split(**vars(args))


if __name__ == "__main__":
    main()
