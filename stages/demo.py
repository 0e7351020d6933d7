"""Render the demo corpus, unless params.yaml names another one."""

import argparse
from pathlib import Path

from earmark.demo.render import render_configured
from earmark.errors import explained


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with explained():
        render_configured(Path("params.yaml"), args.out)


if __name__ == "__main__":
    main()
