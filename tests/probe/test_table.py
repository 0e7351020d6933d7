"""The table of a probe: its best row, its texts, its CSV."""

from __future__ import annotations

import csv

from earmark.probe.table import CSV_COLUMNS, Row, Table

ROWS = (
    Row("front", 9, 408, 0.75, 0.7, 0.8),
    Row("wide", 9, 753, 0.8125, 0.78, 0.85),
    Row("dense", 9, 200, 0.8125, 0.7, 0.9),
)


def test_rows_keep_their_order_and_of_equal_ones_that_of_fewer_dims_is_the_best():
    table = Table(ROWS, ["a note"])
    assert table.best.layer == "dense"
    assert table.text().splitlines() == [
        "layer  frames  dims  validation ROC-AUC     95 % interval",
        "front       9   408              0.7500  0.7000 to 0.8000",
        "wide        9   753              0.8125  0.7800 to 0.8500",
        "dense       9   200              0.8125  0.7000 to 0.9000  best",
        "",
        "a note",
    ]
    marked = table.text(markdown=True)
    assert "| dense |      9 |  200 |             0.8125 | 0.7000 to 0.9000 | best |\n" in marked
    assert marked.endswith("|\n\n- a note\n")


def test_the_csv_has_the_values_unrounded(tmp_path):
    Table((Row("a", 1, 2, 1 / 3, 0.1, 0.9), *ROWS), ()).write(tmp_path / "rows.csv")
    header, *rows = csv.reader((tmp_path / "rows.csv").read_text().splitlines())
    assert header == list(CSV_COLUMNS)
    assert float(rows[0][3]) == 1 / 3
    assert [row[-1] for row in rows] == ["0", "0", "0", "1"]
