"""Read a corpus into the manifest and the tag table that every later stage reads."""

import argparse
from pathlib import Path

from earmark.corpus.read import read_corpus
from earmark.errors import explained


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        read_corpus(Path("params.yaml"), args.out)


if __name__ == "__main__":
    main()
