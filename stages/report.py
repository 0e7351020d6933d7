"""Write the table of all experiments, and print it."""

import argparse
from pathlib import Path

from earmark import progress, report
from earmark.config import load
from earmark.errors import explained
from earmark.manifest import write_text


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, required=True, help="the folder of the experiments' JSON files")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        watch = progress.Stopwatch()
        rows = report.table(args.metrics, list(load(Path("params.yaml")).experiments))
        write_text(args.out, report.markdown(rows))
        watch.report("report", 0, f"{len(rows)} experiments, see {args.out}")


if __name__ == "__main__":
    main()
