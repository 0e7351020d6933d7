"""Fit mean and deviation of every feature dimension on the training split."""

import argparse
from pathlib import Path

from earmark import progress
from earmark.corpus import labels
from earmark.errors import explained
from earmark.features import standardize


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        watch = progress.Stopwatch()
        clips, _ = labels.read_labels(args.labels)
        fitted = standardize.fit(args.features, {c.clip_id for c in clips if c.split == "train"})
        fitted.save(args.out)
        watch.report(f"standardize {args.features.name}", fitted.clips, f"{len(fitted.mean)} dimensions")


if __name__ == "__main__":
    main()
