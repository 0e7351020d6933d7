"""Write the tables: all experiments, all pairs of them, the published systems beside their papers."""

import argparse
import json
from pathlib import Path

from earmark import comparison, progress, report, reproduction
from earmark.config import load
from earmark.errors import explained
from earmark.manifest import write_json, write_text


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, required=True, help="the folder of the experiments' JSON files")
    parser.add_argument("--scores", type=Path, required=True, help="the folder of the experiments' scores")
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--label-counts", type=Path, required=True)
    parser.add_argument("--papers", type=Path, required=True, help="the folder that `earmark papers` writes")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--comparison", type=Path, required=True)
    parser.add_argument("--reproduction", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        watch = progress.Stopwatch()
        config = load(Path("params.yaml"))
        names, drawn = list(config.experiments), config.evaluation
        pairs = comparison.compare_files(args.scores, args.labels, names, drawn.resamples, drawn.seed)
        write_json(args.comparison, comparison.summary(pairs))
        tables = [report.markdown(report.table(args.metrics, names))]
        if pairs:
            tables.append(report.markdown(comparison.table(pairs), comparison.COLUMNS))
        write_text(args.out, "\n".join(tables))
        counts = json.loads(args.label_counts.read_text(encoding="utf-8"))
        corpus = reproduction.corpus_name(config.corpus.kind, config.corpus.name, counts)
        runs = reproduction.read_experiments(args.metrics, config, corpus)
        write_text(args.reproduction, reproduction.document([*runs, *reproduction.read_papers(args.papers)]))
        watch.report("report", 0, f"{len(names)} experiments, see {args.out}")


if __name__ == "__main__":
    main()
