"""Judge params.yaml as a whole, before any other stage removes or writes anything."""

import argparse
from pathlib import Path

from earmark.errors import explained
from earmark.training.validation import judge


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        judge(Path("params.yaml"), **vars(args))


if __name__ == "__main__":
    main()
