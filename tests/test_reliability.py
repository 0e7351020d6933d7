"""What docs/reliability.md says of numbers is tested where it says so."""

from __future__ import annotations

import re

from helpers import ROOT


def test_every_row_about_numbers_names_its_test():
    text = (ROOT / "docs/reliability.md").read_text(encoding="utf-8").partition("## Numbers at their limits")[2]
    rows = re.findall(r"^\| (?!case|--)(.*) \|$", text.partition("\n## ")[0], re.MULTILINE)
    assert len(rows) > 8
    for row in rows:
        named = re.search(r"`(tests/[^`]+)`: `(test_[^`]+)`$", row)
        assert named, row
        assert f"def {named[2]}(" in (ROOT / named[1]).read_text(encoding="utf-8"), row
