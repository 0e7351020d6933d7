"""Charts as SVG: well formed, escaped, deterministic, within their frame, and readable without colours."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pytest

from earmark.report.svg import WIDTH, Interval, Series, dot_chart, interval_chart, line_chart, matrix_chart, ticks

EVIL = "<script>alert(1)</script>&\"'"
CHARTS = {
    "lines": lambda: line_chart(
        EVIL, [Series(EVIL, [(0, 0), (1, 1)], n) for n in range(9)], "x", "y", (0, 1), (0, 1), diagonal=True
    ),
    "intervals": lambda: interval_chart(
        EVIL, [Interval(EVIL, 0.5, 0.4, 0.6, "0.5", 0.9), Interval("b", 0.1, math.nan, math.nan, "")], 0.0, EVIL
    ),
    "dots": lambda: dot_chart(EVIL, [EVIL, "b"], [(EVIL, [0.7, math.nan]), ("c", [0.2, 1.0])]),
    "matrix": lambda: matrix_chart(EVIL, [EVIL, "b"], [[math.nan, 1.0], [0.0, math.nan]], [EVIL, "1", "2", "3"]),
}


@pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)
def test_a_chart_is_well_formed_escapes_its_texts_and_has_equal_bytes(make):
    chart = make()
    assert make() == chart
    assert chart.title == EVIL
    tree = ET.fromstring(chart.text)
    assert tree.get("aria-label") == EVIL
    assert "<script" not in chart.text
    assert "nan" not in re.sub(r">[^<]*<", "><", chart.text)


@pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)
def test_what_is_drawn_lies_within_the_chart(make):
    tree = ET.fromstring(make().text)
    _, _, width, height = map(float, tree.get("viewBox", "").split())
    assert width == WIDTH
    for key, limit in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("y", height), ("cy", height)):
        assert all(0 <= float(e.get(key, "0")) <= limit for e in tree.iter()), key


def test_lines_differ_by_more_than_their_colours():
    chart = line_chart("", [Series(str(n), [(0, 0)], n) for n in range(8)], "", "", (0, 1), (0, 1))
    paths = [e for e in ET.fromstring(chart.text).iter() if e.tag == "path"]
    looks = [(path.get("class"), path.get("stroke-dasharray")) for path in paths]
    assert len(set(looks)) == 8
    assert len({dash for _, dash in looks}) == 4


def test_a_line_goes_through_its_points():
    chart = line_chart("", [Series("a", [(0, 0), (10, 5)], 0)], "", "", (0, 10), (0, 10))
    first = next(e for e in ET.fromstring(chart.text).iter() if e.tag == "path")
    assert first.get("d") == "M46 220 352 115"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, 6), (0.846, 0.909, 3), (-0.02, 0.14, 3), (0, 8, 5), (3, 3, 1), (0, 1e-5, 6), (0, 12345, 5)],
)
def test_ticks_are_round_and_few(low, high, expected):
    found = ticks(low, high)
    assert len(found) == expected
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)
