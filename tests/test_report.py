from __future__ import annotations

import json

import pytest

from earmark.report import COLUMNS, markdown, table


@pytest.fixture
def metrics(tmp_path):
    for name, auc in {"linear": 0.7, "scat": 0.91234}.items():
        test = {
            "roc_auc": {"macro": auc, "low": auc - 0.05, "high": auc + 0.04, "micro": 0.8},
            "pr_auc": {"macro": 0.5},
            "tags": {"defined": 12, "undefined": 1},
            "clips": 84,
            "songs": 42,
        }
        training = {"parameters": 7776306, "epochs": 14, "seconds": 61.2}
        (tmp_path / f"{name}.json").write_text(json.dumps({"test": test, "training": training}))
    return tmp_path


def test_the_best_experiment_stands_first_and_undefined_tags_are_shown(metrics):
    rows = table(metrics, ["linear", "scat"])
    assert [row[0] for row in rows] == ["scat", "linear"]
    assert rows[0] == ("scat", "0.9123", "0.8623 to 0.9523", "0.5000", "12 of 13", "84", "42", "7,776,306", "14", "61")


def test_the_table_is_aligned_markdown(metrics):
    lines = markdown(table(metrics, ["linear", "scat"])).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 4
    assert lines[1].count(":|") == len(COLUMNS) - 1
