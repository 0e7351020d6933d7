"""The report's rows: the best stands first, and every figure has its place."""

from __future__ import annotations

from helpers.metrics import classified, tagged

from earmark.evaluation.comparison import Difference
from earmark.files import markdown_table, write_json
from earmark.report import tables


def write(folder, **metrics):
    for name, content in metrics.items():
        write_json(folder / f"{name}.json", content)


def test_the_best_experiment_stands_first_and_undefined_tags_are_shown(tmp_path):
    tagged(tmp_path, "linear", 0.7)
    tagged(tmp_path, "scat", 0.91234)
    rows = tables.experiments(tmp_path, ["linear", "scat"])
    assert [row[0] for row in rows] == ["scat", "linear"]
    assert rows[0] == (
        "scat", "0.9123", "", "0.8623 to 0.9523", "0.5000", "12 of 13", "84", "42", "1", "7,776,306", "14",
    )  # fmt: skip
    lines = markdown_table(rows, tables.EXPERIMENTS).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 4
    assert lines[1].count(":|") == len(tables.EXPERIMENTS) - 1


def test_several_seeds_have_a_deviation_and_their_ensemble_a_row_of_its_own(tmp_path):
    tagged(tmp_path, "cnn", 0.8, seeds=3)
    tagged(tmp_path, "linear", 0.81)
    assert tables.experiments(tmp_path, ["cnn", "linear"]) == [
        ("cnn, ensemble of 3", "0.8200", "", "0.8000 to 0.8400", "0.6000", "12 of 13", "84", "42", "3", "23,328,918",
         "12 to 14"),
        ("linear", "0.8100", "", "0.7600 to 0.8500", "0.5000", "12 of 13", "84", "42", "1", "7,776,306", "14"),
        ("cnn", "0.8000", "0.0123", "0.7500 to 0.8400", "0.5000", "12 of 13", "84", "42", "3", "7,776,306", "12 to 14"),
    ]  # fmt: skip


def test_the_best_cross_validation_stands_first(tmp_path):
    write(tmp_path, eras=classified(0.51), moods=classified(0.62))
    assert tables.crossvalidations(tmp_path, ["eras", "moods"]) == [
        ("moods", "0.6200", "0.5200 to 0.8200", "0.5900", "369", "126", "18"),
        ("eras", "0.5100", "0.4100 to 0.7100", "0.5900", "369", "126", "18"),
    ]


def test_of_a_pair_the_better_one_stands_first_and_the_largest_difference_on_top():
    near = Difference("a", "b", 84, 0.01, -0.02, 0.04, 0.75, 0.234, settled=True)
    far = Difference("a", "c", 83, -0.2, -0.3, -0.1, 0.0, 1e-9, settled=True, holm=True)
    one_seed = Difference("b", "c", 83, -0.1, -0.2, -0.05, 0.0, 0.01, settled=False)
    assert tables.pairs([near, one_seed, far]) == [
        ("c", "a", "0.2000", "+0.1000 to +0.3000", "100 %", "< 0.0001", "83", "yes", "yes"),
        ("c", "b", "0.1000", "+0.0500 to +0.2000", "100 %", "0.01", "83", "cannot tell: one seed", "no"),
        ("a", "b", "0.0100", "-0.0200 to +0.0400", "75 %", "0.23", "84", "no", "no"),
    ]
