"""Write the tables: experiments, pairs, cross-validations, published systems beside their papers; a page of charts."""

import argparse
from pathlib import Path

from earmark.errors import explained
from earmark.report.page import write_report


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, required=True, help="the folder of all metrics and plots")
    parser.add_argument("--scores", type=Path, required=True, help="the folder of the experiments' scores")
    parser.add_argument("--labels", type=Path, required=True, help="the folder of all sets of labels")
    parser.add_argument("--logs", type=Path, required=True, help="where the stages note their seconds")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--comparison", type=Path, required=True)
    parser.add_argument("--fusions", type=Path, required=True, help="the few figures of every fusion")
    parser.add_argument("--reproduction", type=Path, required=True)
    parser.add_argument("--browser", type=Path, required=True, help="the page with charts, one HTML file")
    args = parser.parse_args()
    with explained():
        write_report(Path("params.yaml"), **vars(args))


if __name__ == "__main__":
    main()
