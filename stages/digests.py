"""Write the digest of the code that every other stage runs."""

import argparse
from pathlib import Path

from earmark.errors import explained
from earmark.storage import digests


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        digests.write(args.out, Path(__file__).parent)


if __name__ == "__main__":
    main()
