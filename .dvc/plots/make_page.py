"""Make page.html, in which `dvc plots show` draws, of the template beside it and Vega: it then needs no network.

npm pack vega@5.33.1 vega-lite@5.23.0 vega-embed@6.29.0     # and unpack each into a folder of its name
python .dvc/plots/make_page.py FOLDER
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(packages: Path) -> None:
    """Write the page. packages: a folder with ``vega``, ``vega-lite`` and ``vega-embed``."""
    libraries = []
    for name in ("vega", "vega-lite", "vega-embed"):
        text = (packages / name / f"build/{name}.min.js").read_text(encoding="utf-8")
        kept = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL")]
        libraries.append(f"<script>{chr(10).join(kept)}</script>")
    page = (HERE / "page.template.html").read_text(encoding="utf-8").replace("%(libraries)s", "\n".join(libraries))
    (HERE / "page.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
