"""Write the tables: all experiments, all pairs of them, the published systems beside their papers."""

import argparse
from pathlib import Path

from earmark import comparison, progress, report, reproduction, validation
from earmark.config import load
from earmark.errors import explained
from earmark.manifest import read_json, write_json, write_text


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
        validation.require(config)
        names, drawn = list(config.experiments), config.evaluation
        pairs = comparison.compare_files(args.scores, args.labels, names, drawn.resamples, drawn.seed)
        tables = [report.markdown(report.table(args.metrics, names))]
        if pairs:
            tables.append(report.markdown(comparison.table(pairs), comparison.COLUMNS))
        counts = read_json(args.label_counts)
        corpus = reproduction.corpus_name(config.corpus.kind, config.corpus.name, counts)
        runs = reproduction.read_experiments(args.metrics, config, corpus)
        page = reproduction.document([*runs, *reproduction.read_papers(args.papers)])
        write_json(args.comparison, comparison.summary(pairs))
        write_text(args.out, "\n".join(tables))
        write_text(args.reproduction, page)
        watch.report("report", 0, f"{len(names)} experiments, see {args.out}")


if __name__ == "__main__":
    main()
