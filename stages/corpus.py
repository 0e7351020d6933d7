"""Read a corpus into the manifest and the tag table that every later stage reads."""

import argparse
from pathlib import Path

from earmark import progress
from earmark.config import load
from earmark.corpora import magnatagatune
from earmark.errors import explained
from earmark.manifest import write_manifest, write_tags


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        config = load(Path("params.yaml")).corpus
        watch = progress.Stopwatch()
        clips, table = magnatagatune.read(config.audio, config.annotations)
        write_manifest(args.out / "manifest.csv", clips)
        write_tags(args.out / "tags.csv", table)
        watch.report("corpus", len(clips), f"{len(table.tags)} tags, {len({c.song for c in clips})} songs")


if __name__ == "__main__":
    main()
