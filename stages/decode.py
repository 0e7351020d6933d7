"""Decode every clip of the manifest to one rate."""

import argparse
from pathlib import Path

from earmark import progress
from earmark.config import entry, load
from earmark.corpus.manifest import read_manifest
from earmark.decode.corpus import decode_corpus
from earmark.errors import explained
from earmark.files import write_json


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rate", type=int, help="samples per second, a key of waveforms in params.yaml")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        config = load(Path("params.yaml"))
        waveform = entry("waveforms", config.waveforms, args.rate)
        watch = progress.Stopwatch()
        counts = decode_corpus(read_manifest(args.manifest), config.corpus.audio, args.rate, waveform, args.out)
        computed = counts.pop("computed")
        write_json(args.metrics, counts)
        watch.report(f"decode {args.rate} Hz", computed, f"{counts['clips']} usable, {counts['rejected']} rejected")


if __name__ == "__main__":
    main()
