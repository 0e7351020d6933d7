"""Score the test split with a trained experiment and write its metrics."""

import argparse
from pathlib import Path

from earmark import waiting  # noqa: F401 - it chooses before torch is loaded
from earmark.errors import explained
from earmark.evaluation.experiment import evaluate_experiment


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", metavar="experiment", help="a key of experiments in params.yaml")
    parser.add_argument("--model", type=Path, required=True, help="the folder that train wrote")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--standardizer", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True, help="the few figures that are compared")
    parser.add_argument("--details", type=Path, required=True, help="all that is measured")
    parser.add_argument("--tags", type=Path, required=True)
    parser.add_argument("--roc", type=Path, required=True)
    parser.add_argument("--curves", type=Path, required=True, help="where git holds what train wrote of its epochs")
    args = parser.parse_args()
    with explained():
        evaluate_experiment(Path("params.yaml"), **vars(args))


if __name__ == "__main__":
    main()
