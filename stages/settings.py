"""Judge params.yaml as a whole, before any other stage removes or writes anything."""

import argparse
from pathlib import Path

from earmark.errors import explained
from earmark.training import validation


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        validation.judge(Path("params.yaml"), args.out)


if __name__ == "__main__":
    main()
