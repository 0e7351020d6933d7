"""Score the test split with a trained experiment and write its metrics."""

import argparse
from pathlib import Path

from earmark import dataset, evaluation, progress, scoring, validation
from earmark.config import entry, load
from earmark.errors import explained
from earmark.manifest import read_json, write_csv, write_json, write_text


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", help="a key of experiments in params.yaml")
    parser.add_argument("--model", type=Path, required=True, help="the folder that train wrote")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--standardizer", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--tags", type=Path, required=True)
    parser.add_argument("--roc", type=Path, required=True)
    parser.add_argument("--curves", type=Path, required=True, help="where git holds what train wrote of its epochs")
    args = parser.parse_args()
    with explained():
        config = load(Path("params.yaml"))
        validation.require(config)
        experiment = entry("experiments", config.experiments, args.experiment)
        watch = progress.Stopwatch()
        valid, test = (dataset.load(args.features, args.labels, args.standardizer, part) for part in ("valid", "test"))
        system = experiment.system or args.experiment
        model = scoring.load_model(system, args.model / "state.pt", len(test.tags), *test.features.shape[1:])
        training = read_json(args.model / "training.json")
        curves = (args.model / "curves.csv").read_text(encoding="utf-8")
        heard = training["excerpt_frames"], training["excerpts"]
        (valid, valid_scores), (test, scores) = (
            part.by_clip(scoring.score(model, part.features, *heard)) for part in (valid, test)
        )
        result = evaluation.evaluate(
            scores,
            test.targets.numpy(),
            test.songs(),
            test.tags,
            config.evaluation.resamples,
            config.evaluation.seed,
            evaluation.equal_error_thresholds(valid_scores, valid.targets.numpy(), valid.tags),
        )
        scoring.write_scores(args.scores, test, scores)
        write_json(args.metrics, {"test": result.summary | {"missing_clips": test.missing}, "training": training})
        write_csv(args.tags, evaluation.TAG_COLUMNS, result.tags)
        write_csv(args.roc, ("fpr", "tpr"), result.roc)
        write_text(args.curves, curves)
        watch.report(
            f"evaluate {args.experiment}", len(test.clips), f"ROC-AUC {result.summary['roc_auc']['macro']:.4f}"
        )


if __name__ == "__main__":
    main()
