"""Read a corpus into the manifest and the tag table that every later stage reads."""

import argparse
from pathlib import Path

from earmark import progress
from earmark.config import load
from earmark.corpus.manifest import described, write_manifest, write_tags
from earmark.corpus.published_counts import verify_configured
from earmark.corpus.read import read
from earmark.errors import explained


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        config = load(Path("params.yaml")).corpus
        watch = progress.Stopwatch()
        clips, table = read(config)
        published = verify_configured(config, clips, table)
        write_manifest(args.out / "manifest.csv", clips)
        write_tags(args.out / "tags.csv", table)
        for line in published:
            print(line)
        songs = len({clip.song for clip in clips})
        watch.report("corpus", len(clips), f"{len(table.tags)} tags, {songs} songs; {described(clips)}")


if __name__ == "__main__":
    main()
