"""Train one experiment on cached features."""

import argparse
from pathlib import Path

from earmark import waiting  # noqa: F401 - it chooses before torch is loaded
from earmark.errors import explained
from earmark.training.fit import train_experiment


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", metavar="experiment", help="a key of experiments in params.yaml")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--standardizer", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        train_experiment(Path("params.yaml"), **vars(args))


if __name__ == "__main__":
    main()
