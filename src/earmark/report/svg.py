"""Charts as SVG text, to be put into a page: lines, intervals, dots and matrices.

A chart is as wide as a narrow phone and grows with its place. It names its colours by classes (``s0`` to ``s7``,
``axis``, ``grid``), which the page's stylesheet gives for light and for dark; a line has a dash of its own, too, and a
dot a form, so that colour alone tells nothing. Texts are escaped by the XML writer. Equal input gives equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

WIDTH = 360
STYLES = 8  # the classes s0 to s7
DASHES = ("", "7 3", "2 2", "8 3 2 3")
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 10, 36  # the room around the plot of a line chart
PLOT = 210  # its height
LEGEND = 17  # the height of a line of the legend
ROW = 54  # letters of a name and of what is shown beside it
DARKEST = 0.65  # the opacity of a full cell, on which a text still has its contrast


class Chart(NamedTuple):
    """A drawing and what it is called."""

    title: str
    text: str


class Series(NamedTuple):
    """A line: its name, its points (x, y), which of the styles it has, and whether it is a thin one without a name."""

    name: str
    points: Sequence[tuple[float, float]]
    style: int
    thin: bool = False


class Interval(NamedTuple):
    """A value with an interval, and perhaps another value that it is to be seen beside; shown: as text."""

    name: str
    value: float
    low: float
    high: float
    shown: str
    beside: float | None = None


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round values from ``low`` to ``high``, at most so many.

    >>> ticks(0, 1), ticks(0.83, 0.91)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.84, 0.86, 0.88, 0.9])
    """
    if not high > low:
        return [low]
    rough = (high - low) / max(1, most - 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def short(text: str, most: int) -> str:
    """Return a text that has at most so many letters, without its middle: names often differ at their ends.

    >>> short("scat-5l-512h-gru-fused", 12)
    'scat-5…fused'
    """
    kept = most - 1
    return text if len(text) <= most else f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def line_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    diagonal: bool = False,
) -> Chart:
    """Return lines on common axes, with a legend below; ``diagonal`` from the lower left corner to the upper right."""
    named = [one for one in series if not one.thin]
    chart = _chart(title, TOP + PLOT + BOTTOM + LEGEND * len(named))
    right, bottom = WIDTH - RIGHT, TOP + PLOT
    x_of, y_of = _scale(x_range, (LEFT, right)), _scale(y_range, (bottom, TOP))
    for value in ticks(*x_range):
        _line(chart, "grid", x_of(value), TOP, x_of(value), bottom)
        _text(chart, x_of(value), bottom + 14, f"{value:.6g}", "middle")
    for value in ticks(*y_range):
        _line(chart, "grid", LEFT, y_of(value), right, y_of(value))
        _text(chart, LEFT - 5, y_of(value) + 4, f"{value:.6g}", "end")
    _text(chart, (LEFT + right) / 2, bottom + 29, x_label, "middle")
    turned = _text(chart, 0, 0, y_label, "middle")
    turned.set("transform", f"translate(11 {_n((TOP + bottom) / 2)}) rotate(-90)")
    if diagonal:
        _line(chart, "axis", LEFT, bottom, right, TOP).set("stroke-dasharray", "3 4")
    for one in series:
        _path(chart, one, [(x_of(x), y_of(y)) for x, y in one.points])
    for row, one in enumerate(named):
        y = bottom + BOTTOM + LEGEND * row + 8
        _path(chart, one, [(LEFT, y), (LEFT + 28, y)])
        _text(chart, LEFT + 35, y + 4, short(one.name, 48))
    return _written(chart)


def interval_chart(title: str, rows: Sequence[Interval], zero: float | None = None, beside: str = "") -> Chart:
    """Return a row per value: its name and its text, and below them the interval with a dot at the value.

    zero: a value at which there is a line through all rows. beside: what the diamonds at ``Interval.beside`` are.
    """
    step, foot = 34, 40 if beside else 22
    values = [v for row in rows for v in (row.low, row.high, row.beside, zero) if v is not None and math.isfinite(v)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = 0.04 * (high - low) or 0.05
    chart = _chart(title, step * len(rows) + foot)
    bottom = step * len(rows) + 4
    x_of = _scale((low - margin, high + margin), (6, WIDTH - 6))
    for value in ticks(low - margin, high + margin):
        _line(chart, "grid", x_of(value), 0, x_of(value), bottom)
        _text(chart, x_of(value), bottom + 12, f"{value:.6g}", "middle")
    if zero is not None:
        _line(chart, "axis", x_of(zero), 0, x_of(zero), bottom)
    for number, row in enumerate(rows):
        y = step * number + 25
        name = _text(chart, 6, y - 11, short(row.name, ROW - len(row.shown)), plate=True)
        if name.text != row.name:
            ET.SubElement(name, "title").text = row.name
        _text(chart, WIDTH - 6, y - 11, row.shown, "end", plate=True)
        if math.isfinite(row.low) and math.isfinite(row.high):
            _line(chart, "s0 bar", x_of(row.low), y, x_of(row.high), y)
        if math.isfinite(row.value):
            dot = {"class": "s0 fill", "cx": _n(x_of(row.value)), "cy": _n(y), "r": "4.5"}
            ET.SubElement(chart, "circle", dot)
        if row.beside is not None:
            _diamond(chart, x_of(row.beside), y)
    if beside:
        _diamond(chart, 12, bottom + 27)
        _text(chart, 24, bottom + 31, beside)
    return _written(chart)


def dot_chart(title: str, names: Sequence[str], columns: Sequence[tuple[str, Sequence[float]]]) -> Chart:
    """Return a row per name with a dot for each column, whose values lie in [0, 1]; NaN has none."""
    step, left, foot = 17, 112, 20
    bottom = step * len(names) + 4
    finite = [v for _, values in columns for v in values if math.isfinite(v)]
    x_range = (min([0.5, *finite]), 1.0)
    chart = _chart(title, bottom + foot + LEGEND * len(columns))
    x_of = _scale(x_range, (left, WIDTH - 10))
    for value in ticks(*x_range):
        _line(chart, "grid", x_of(value), 0, x_of(value), bottom)
        _text(chart, x_of(value), bottom + 12, f"{value:.6g}", "middle")
    for row, name in enumerate(names):
        y = step * row + 12
        _text(chart, left - 8, y + 4, short(name, 17), "end")
        _line(chart, "grid", left, y, WIDTH - 10, y)
        for style, (column, values) in enumerate(columns):
            if math.isfinite(values[row]):
                mark = _mark(chart, x_of(values[row]), y, style)
                ET.SubElement(mark, "title").text = f"{name}, {column}: {values[row]:.3f}"
    for style, (column, _) in enumerate(columns):
        y = bottom + foot + LEGEND * style + 4
        _mark(chart, left + 4, y, style)
        _text(chart, left + 16, y + 4, short(column, 36))
    return _written(chart)


def matrix_chart(title: str, names: Sequence[str], shares: Sequence[Sequence[float]], cells: Sequence[str]) -> Chart:
    """Return a square of cells, darker for a higher share in [0, 1], with a text each, and names on two sides.

    cells: what a pointer shows, row by row. A NaN is left blank.
    """
    left, top = 106, 92
    size = (WIDTH - left - 4) / max(1, len(names))
    chart = _chart(title, top + round(size * len(names)) + 6)
    for row, name in enumerate(names):
        y = top + size * row
        _text(chart, left - 6, y + size / 2 + 4, short(name, 16), "end")
        turned = _text(chart, 0, 0, short(name, 15))
        turned.set("transform", f"translate({_n(left + size * row + size / 2 + 4)} {top - 6}) rotate(-90)")
        for column in range(len(names)):
            share = shares[row][column]
            if math.isnan(share):
                continue
            x = left + size * column
            place = {"x": _n(x), "y": _n(y), "width": _n(size - 1), "height": _n(size - 1)}
            cell = ET.SubElement(chart, "rect", {"class": "cell", **place, "fill-opacity": f"{DARKEST * share:.2f}"})
            ET.SubElement(cell, "title").text = cells[row * len(names) + column]
            if round(100 * share):
                _text(chart, x + size / 2 - 0.5, y + size / 2 + 3.5, f"{100 * share:.0f}", "middle")
    return _written(chart)


def _chart(title: str, height: float) -> ET.Element:
    size = {"viewBox": f"0 0 {WIDTH} {_n(height)}", "width": f"{WIDTH}", "height": _n(height)}
    chart = ET.Element("svg", {"class": "chart", "role": "img", "aria-label": title, **size})
    ET.SubElement(chart, "title").text = title
    return chart


def _scale(values: tuple[float, float], places: tuple[float, float]) -> _Scale:
    return _Scale(values[0], (places[1] - places[0]) / ((values[1] - values[0]) or 1.0), places[0])


class _Scale(NamedTuple):
    origin: float
    factor: float
    start: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.origin) * self.factor


def _n(value: float) -> str:
    """Return a coordinate with a tenth of a pixel.

    >>> _n(12.04), _n(-0.01)
    ('12', '0')
    """
    return f"{round(value, 1) + 0.0:g}"


def _line(chart: ET.Element, kind: str, x1: float, y1: float, x2: float, y2: float) -> ET.Element:
    ends = {"x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2)}
    return ET.SubElement(chart, "line", {"class": kind, **ends})


def _text(chart: ET.Element, x: float, y: float, text: str, anchor: str = "", plate: bool = False) -> ET.Element:
    """Write a text; on a ``plate`` the lines behind it do not cross its letters."""
    given = (
        {"x": _n(x), "y": _n(y)} | ({"text-anchor": anchor} if anchor else {}) | ({"class": "plate"} if plate else {})
    )
    found = ET.SubElement(chart, "text", given)
    found.text = text
    return found


def _path(chart: ET.Element, series: Series, points: Sequence[tuple[float, float]]) -> None:
    drawn = "M" + " ".join(f"{_n(x)} {_n(y)}" for x, y in points)
    kind = f"line s{series.style % STYLES}" + " thin" * series.thin
    dash = DASHES[(series.style + series.style // STYLES) % len(DASHES)]
    path = ET.SubElement(chart, "path", {"class": kind, "d": drawn} | ({"stroke-dasharray": dash} if dash else {}))
    if series.name:
        ET.SubElement(path, "title").text = series.name


def _diamond(chart: ET.Element, x: float, y: float) -> None:
    ET.SubElement(chart, "path", {"class": "beside", "d": f"M{_n(x)} {_n(y - 6)}l5 6-5 6-5-6z"})


def _mark(chart: ET.Element, x: float, y: float, style: int) -> ET.Element:
    """Draw a circle, a square, a diamond or a triangle."""
    place = f"M{_n(x)} {_n(y)}"
    forms = ("m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", "m-3.5-3.5h7v7h-7z", "m0-5l4.5 5-4.5 5-4.5-5z", "m0-4.5l4.5 8h-9z")
    drawn = place + forms[style % len(forms)]
    return ET.SubElement(chart, "path", {"class": f"s{style % STYLES} fill", "d": drawn})


def _written(chart: ET.Element) -> Chart:
    return Chart(chart.get("aria-label", ""), ET.tostring(chart, encoding="unicode"))
