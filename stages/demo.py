"""Render the demo corpus, unless params.yaml names another one."""

import argparse
from pathlib import Path

from earmark import progress
from earmark.config import load
from earmark.demo import render
from earmark.errors import explained


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        config = load(Path("params.yaml")).corpus
        watch = progress.Stopwatch()
        if config.kind == "demo" and config.demo is not None:
            rendered = render.update(args.out, config.demo.clips, config.demo.seed)
            watch.report("demo", rendered, "" if rendered else "up to date")
        else:
            args.out.mkdir(parents=True, exist_ok=True)
            watch.report("demo", 0, f"nothing to render, corpus.kind is {config.kind}")


if __name__ == "__main__":
    main()
