"""Cross-validate one configuration of exclusive classes."""

import argparse
from pathlib import Path

from earmark import waiting  # noqa: F401 - it chooses before torch is loaded
from earmark.errors import explained
from earmark.training.crossvalidation import crossvalidate


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a key of crossvalidations in params.yaml")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the model of each fold")
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--confusion", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        crossvalidate(Path("params.yaml"), **vars(args))


if __name__ == "__main__":
    main()
