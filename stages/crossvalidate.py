"""Cross-validate one configuration of exclusive classes."""

import argparse
from pathlib import Path

from earmark import crossvalidation, progress, validation
from earmark.config import entry, load
from earmark.errors import explained
from earmark.manifest import write_csv, write_json


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a key of crossvalidations in params.yaml")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--confusion", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        settings = load(Path("params.yaml"))
        validation.require(settings)
        config = entry("crossvalidations", settings.crossvalidations, args.name)
        watch = progress.Stopwatch()
        outcome = crossvalidation.run(args.name, config, args.features, args.labels)
        write_json(args.metrics, outcome.summary)
        write_csv(args.confusion, crossvalidation.COLUMNS, outcome.rows)
        accuracy = outcome.summary["accuracy"]["normalized"]
        watch.report(f"crossvalidate {args.name}", len(outcome.rows), f"accuracy {accuracy:.4f}, normalised by class")


if __name__ == "__main__":
    main()
