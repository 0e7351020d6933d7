"""Choose the tags to learn and the clips that carry them; count both per split."""

import argparse
import sys
from pathlib import Path

from earmark import progress
from earmark.config import load
from earmark.corpus import labels
from earmark.corpus.manifest import SPLITS
from earmark.errors import explained
from earmark.files import write_csv, write_json


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--positives", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        settings = load(Path("params.yaml"))
        config, policy = settings.labels, settings.corpus.split
        watch = progress.Stopwatch()
        clips, table, summary = labels.make_labels(
            args.corpus / "manifest.csv", args.corpus / "tags.csv", config.top, config.clean, config.synonyms, policy
        )
        labels.write_labels(args.out, clips, table)
        write_json(args.metrics, summary)
        write_csv(args.positives, ["tag", *SPLITS], labels.positives(clips, table))
        for warning in labels.warnings(clips, table):
            print(warning, file=sys.stderr)
        sizes = ", ".join(f"{summary[s]['clips']} {s}" for s in SPLITS)
        watch.report("labels", len(clips), f"{len(table.tags)} tags, {sizes}")


if __name__ == "__main__":
    main()
