"""Write the tables: experiments, all pairs of them, cross-validations, the published systems beside their papers."""

import argparse
from pathlib import Path

from earmark import progress
from earmark.errors import explained
from earmark.evaluation import comparison
from earmark.files import read_json, write_json, write_text
from earmark.papers import reproduction
from earmark.report import page as report
from earmark.training import validation


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, required=True, help="the folder of all metrics and plots")
    parser.add_argument("--scores", type=Path, required=True, help="the folder of the experiments' scores")
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--logs", type=Path, required=True, help="where the stages note their seconds")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--comparison", type=Path, required=True)
    parser.add_argument("--reproduction", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        watch = progress.Stopwatch()
        config = validation.load(Path("params.yaml"))
        if gone := report.remove_leftovers(config, args.metrics, args.scores):
            print(f"report: removed what params.yaml no longer has: {', '.join(map(str, gone))}")
        present, drawn = report.survey(config, args.metrics, args.scores, args.labels), config.evaluation
        pairs = comparison.compare_files(args.scores, args.labels, present.compared, drawn.resamples, drawn.seed)
        write_json(args.comparison, comparison.summary(pairs))
        write_text(args.out, report.page(args.metrics, present, comparison.table(pairs), comparison.COLUMNS))
        counts = read_json(args.metrics / "labels.json")
        corpus = reproduction.corpus_name(config.corpus.kind, config.corpus.name, counts)
        runs = reproduction.read_experiments(args.metrics / "experiments", present.evaluated, config, corpus)
        runs += reproduction.read_papers(args.metrics / "papers")
        write_text(args.reproduction, reproduction.document(runs))
        for line in (*report.spent(args.logs, config), *present.notes):
            print(line)
        watch.report("report", 0, f"{len(present.evaluated)} experiments, see {args.out}")


if __name__ == "__main__":
    main()
