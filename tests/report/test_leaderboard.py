"""The leaderboard: which experiments are rows of it, in which order, and what is said to differ."""

from __future__ import annotations

import copy

import pytest

from earmark.config import ConfigError
from earmark.report.leaderboard import COLUMNS, CSV_COLUMNS, State, differences, differences_within, leaderboard

PARAMS = {
    "corpus": {"kind": "demo", "demo": {"clips": 576, "seed": 1}},
    "labels": {"top50": {"top": 50}, "top10": {"top": 10}},
    "waveforms": {"16000": {"samples": 30_000}, "8000": {"samples": 15_000}},
    "representations": {"mel": {"kind": "mel", "rate": 16_000, "n_mels": 48}, "cqt": {"kind": "cqt", "rate": 8000}},
    "recipes": {"quick": {"optimizer": "adam", "learning_rate": 0.001, "epochs": 8, "batch": 16, "patience": 5}},
    "experiments": {
        "cnn": {"representation": "mel", "labels": "top50", "model": "convolutional", "recipe": "quick"},
        "linear": {"representation": "mel", "labels": "top50", "model": "linear"},
        "deep": {
            "representation": "cqt", "labels": "top10", "model": "crnn", "network": {"units": 32}, "recipe": "quick",
        },
    },
    "evaluation": {"resamples": 20, "seed": 1},
}  # fmt: skip


def figures(roc_auc: float, **more: float) -> dict[str, float]:
    return {"roc_auc": roc_auc, "low": roc_auc - 0.02, "high": roc_auc + 0.02, "pr_auc": 0.4} | more


def with_(*path_and_value):
    """PARAMS with a value at a key; a key of which nothing was there is added."""
    *path, last, value = path_and_value
    params = place = copy.deepcopy(PARAMS)
    for part in path:
        place = place.setdefault(part, {})
    place[last] = value
    return params


def state(name, params=PARAMS, ran=(), **metrics):
    """A state in which the experiments ``ran`` have run as in no other; metrics: those of them, others as committed."""
    stages = {
        f"{stage}@{each}": {"cmd": "as committed"} for each in params["experiments"] for stage in ("train", "evaluate")
    }
    stages |= {f"train@{each}": {"cmd": "run", "params": name} for each in ran}
    committed = {"cnn": figures(0.8), "linear": figures(0.7), "deep": figures(0.75)}
    return State(name, params, {k: v for k, v in (committed | metrics).items() if v}, stages)  # fmt: skip


HEAD, HERE = state("HEAD"), state("workspace")


def shown(board, *columns):
    return [tuple(row.cells()[COLUMNS.index(column)] for column in columns) for row in board.rows]


def test_the_best_is_first_wherever_it_is_from():
    sweep = [
        state(f"try-{rate}", with_("experiments", "cnn", "learning_rate", rate), ["cnn"], cnn=figures(roc))
        for rate, roc in ((0.1, 0.72), (0.01, 0.9))
    ]
    found = shown(leaderboard(HERE, HEAD, sweep), "from", "experiment", "ROC-AUC", "95 % interval", "PR-AUC")
    assert [row[:2] for row in found] == [
        ("try-0.01", "cnn"), ("workspace", "cnn"), ("workspace", "deep"), ("try-0.1", "cnn"), ("workspace", "linear"),
    ]  # fmt: skip
    assert found[0][2:] == ("0.9000", "0.8800 to 0.9200", "0.4000")


def test_an_experiment_that_a_sweep_does_not_touch_is_listed_once():
    sweep = [
        state(f"try-{number}", with_("experiments", "cnn", "batch", number), ["cnn"], cnn=figures(0.8 + number / 100))
        for number in range(12)
    ]
    board = leaderboard(HERE, HEAD, sweep)
    assert len(board.rows) == 12 + 3
    assert shown(board, "experiment").count(("linear",)) == 1
    assert not board.notes


def test_what_was_run_with_other_settings_is_a_row_even_if_every_figure_is_as_before():
    same = state("same", with_("experiments", "cnn", "patience", 4), ["cnn"])
    assert ("same", "experiments.cnn.patience 4, not 5") in shown(
        leaderboard(HERE, HEAD, [same]), "from", "what differs"
    )


def test_what_was_not_run_with_its_settings_does_not_pass_for_their_result():
    other = with_("recipes", "quick", "epochs", 9)
    board = leaderboard(HERE, HEAD, [state("partly", other, ["cnn"], cnn=figures(0.9))])
    assert [row[:2] for row in shown(board, "from", "experiment") if row[0] == "partly"] == [("partly", "cnn")]
    assert board.notes == ["not run in partly: deep (recipes.quick.epochs 9, not 8)"]
    edited = leaderboard(state("workspace", with_("experiments", "deep", "network", "units", 64)), HEAD, [])
    assert shown(edited, "experiment") == [("cnn",), ("linear",)]
    (note,) = edited.notes
    assert note == (
        "not run as params.yaml says now: deep (experiments.deep.network.units 64, not 32), `dvc repro evaluate@deep`"
    )


def test_an_experiment_without_metrics_is_named_with_what_to_run():
    board = leaderboard(state("workspace", deep=None), HEAD, [state("lost", PARAMS, ["cnn"], cnn=None)])
    assert board.notes[0] == "not measured: deep, `dvc repro evaluate@deep`"
    assert board.notes[1].startswith("not measured in lost: cnn (")


def test_another_result_of_the_same_settings_says_that_they_are_the_same():
    board = leaderboard(HERE, HEAD, [state("code", PARAMS, ["cnn"], cnn=figures(0.81))])
    assert shown(board, "from", "what differs")[0] == ("code", "nothing in params.yaml: code or data")
    worded = state("worded", with_("experiments", "cnn", "batch", 16), ["cnn"])
    row = next(row for row in leaderboard(HERE, HEAD, [worded]).rows if row.origin == "worded")
    assert row.differs == "nothing: the same values are written otherwise"


def test_a_new_experiment_is_compared_with_the_first_of_the_commit():
    entry = PARAMS["experiments"]["cnn"] | {"model": "crnn"}
    board = leaderboard(HERE, HEAD, [state("more", with_("experiments", "mine", entry), ["mine"], mine=figures(0.9))])
    assert shown(board, "from", "experiment", "what differs")[0] == (
        "more",
        "mine",
        "new: model crnn, not convolutional",
    )


def test_experiments_of_the_workspace_are_compared_with_the_baseline():
    found = dict(shown(leaderboard(HERE, HEAD, []), "experiment", "what differs"))
    assert found["cnn"] == ""
    assert found["linear"] == "model linear, not convolutional; recipe none, not quick"
    found = dict(shown(leaderboard(HERE, HEAD, [], "linear"), "experiment", "what differs"))
    assert found["linear"] == ""
    assert found["cnn"] == "model convolutional, not linear; recipe quick, not none"
    with pytest.raises(ConfigError, match=r"experiments of params\.yaml has no 'lnear': close to linear"):
        leaderboard(HERE, HEAD, [], "lnear")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (("experiments", "cnn", "learning_rate", 0.01), "experiments.cnn.learning_rate 0.01, not 0.001"),
        (("experiments", "cnn", "weight_decay", 0.1), "experiments.cnn.weight_decay 0.1, not 0.0"),
        (("experiments", "cnn", "seeds", [1, 2, 3]), "experiments.cnn.seeds [1, 2, 3], not [1]"),
        (("experiments", "cnn", "network", {"dropout": 0.2}), "experiments.cnn.network.dropout 0.2, not the default"),
        (("experiments", "cnn", "system", "mel-2d-cnn"), "experiments.cnn.system mel-2d-cnn, not none"),
        (("recipes", "quick", "epochs", 20), "recipes.quick.epochs 20, not 8"),
        (("recipes", "quick", "average", "ema"), "recipes.quick.average ema, not none"),
        (("representations", "mel", "n_mels", 96), "representations.mel.n_mels 96, not 48"),
        (("labels", "top50", "top", 20), "labels.top50.top 20, not 50"),
        (("waveforms", "16000", "samples", 40_000), "waveforms.16000.samples 40000, not 30000"),
        (("corpus", "demo", "clips", 600), "corpus.demo.clips 600, not 576"),
        (("evaluation", "resamples", 500), "evaluation.resamples 500, not 20"),
        (("labels", "top10", "top", 20), ""),
        (("waveforms", "8000", "samples", 40_000), ""),
        (("experiments", "deep", "network", "units", 64), ""),
        (("experiments", "cnn", "learning_rate", 0.001), ""),
    ],
    ids=lambda value: ".".join(map(str, value[:-1])) if isinstance(value, tuple) else "",
)
def test_only_settings_that_the_experiment_depends_on_differ(path, told):
    assert differences(with_(*path), PARAMS, "cnn") == told


def test_a_setting_that_is_taken_away_differs_too():
    assert differences(PARAMS, with_("experiments", "cnn", "batch", 4), "cnn") == "experiments.cnn.batch 16, not 4"
    before = with_("experiments", "cnn", "network", {"dropout": 0.2})
    assert differences(PARAMS, before, "cnn") == "experiments.cnn.network.dropout the default, not 0.2"


def test_a_value_that_one_experiment_overrides_is_compared_with_the_others_recipe():
    params = with_("experiments", "fast", PARAMS["experiments"]["cnn"] | {"learning_rate": 0.01})
    assert differences_within(params, "fast", "cnn") == "learning_rate 0.01, not 0.001"
    assert differences_within(params, "cnn", "fast") == "learning_rate 0.001, not 0.01"
    without = "model linear, not convolutional; recipe none, not quick"  # which says that it has no rate, either
    assert differences_within(with_("experiments", "cnn", "epochs", 1), "linear", "cnn") == without


def test_an_option_that_another_network_has_tells_nothing():
    params = with_("experiments", "cnn", "network", {"dropout": 0.2})
    assert differences_within(params, "linear", "cnn") == "model linear, not convolutional; recipe none, not quick"
    told = "model convolutional, not linear; recipe quick, not none; network.dropout 0.2, not the default"
    assert differences_within(params, "cnn", "linear") == told


def test_the_deviation_over_seeds_stands_beside_the_mean():
    board = leaderboard(state("workspace", cnn=figures(0.8, deviation=0.0123)), HEAD, [])
    assert shown(board, "ROC-AUC")[0] == ("0.8000 ± 0.0123",)
    first, last = board.rows[0].values(), board.rows[-1].values()
    assert (first[CSV_COLUMNS.index("deviation")], last[CSV_COLUMNS.index("deviation")]) == (0.0123, "")
    assert len(first) == len(CSV_COLUMNS)


def test_the_table_is_aligned_for_the_terminal_and_is_markdown_on_request():
    board = leaderboard(state("workspace", deep=None), HEAD, [])
    lines = board.text().splitlines()
    assert lines[0].split("  ")[0] == "from"
    assert len({line.index(cell) for line, cell in zip(lines, ("ROC-AUC", "0.8000", "0.7000"), strict=False)}) == 1
    assert lines[-1] == "not measured: deep, `dvc repro evaluate@deep`"
    markdown = board.text(markdown=True).splitlines()
    assert markdown[0].startswith("| from      | experiment |")
    assert markdown[-1] == "- not measured: deep, `dvc repro evaluate@deep`"
