"""Decode every clip of the manifest to one rate."""

import argparse
from pathlib import Path

from earmark.decode.corpus import decode_configured
from earmark.errors import explained


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rate", type=int, help="samples per second, a key of waveforms in params.yaml")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        decode_configured(Path("params.yaml"), **vars(args))


if __name__ == "__main__":
    main()
