"""Choose the tags to learn and the clips that carry them; count both per split."""

import argparse
from pathlib import Path

from earmark.corpus.choose import choose_labels
from earmark.errors import explained


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a key of labels in params.yaml")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--positives", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        choose_labels(Path("params.yaml"), **vars(args))


if __name__ == "__main__":
    main()
