"""Train one experiment on cached features."""

import argparse
from pathlib import Path

from earmark import dataset, distributed, progress, training, validation
from earmark.config import entry, load
from earmark.errors import explained
from earmark.manifest import write_csv, write_json


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", help="a key of experiments in params.yaml")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--standardizer", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        config = load(Path("params.yaml"))
        validation.require(config)
        experiment = entry("experiments", config.experiments, args.experiment)
        watch = progress.Stopwatch()
        train, valid = (
            dataset.load(args.features, args.labels, args.standardizer, split) for split in ("train", "valid")
        )
        fitted = training.fit(args.experiment, experiment, train, valid, args.checkpoints)
        if not distributed.leads():
            return
        training.save_state(fitted.model, args.out / "state.pt")
        write_json(args.out / "training.json", fitted.summary)
        write_csv(args.out / "curves.csv", training.CURVES, fitted.curves)
        epochs, auc = fitted.summary["epochs"], fitted.summary["valid_roc_auc"]
        seen = len(train.clips) * max(1, epochs)
        watch.report(f"train {args.experiment}", seen, f"{epochs} epochs, validation ROC-AUC {auc:.4f}")


if __name__ == "__main__":
    main()
