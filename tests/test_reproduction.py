"""The page of the published systems names the data that each row was measured on."""

from __future__ import annotations

import json

from conftest import ROOT

from earmark import systems
from earmark.config import load
from earmark.reproduction import Run, corpus_name, document, read_experiments, read_papers


def content(auc):
    return {
        "test": {
            "roc_auc": {"macro": auc, "low": auc - 0.02, "high": auc + 0.02},
            "clips": 84,
            "songs": 42,
            "tags": {"defined": 13, "undefined": 0},
        },
        "training": {"epochs": 4, "seconds": 50.0, "parameters": 7},
    }


def test_a_row_has_our_figure_the_papers_and_the_data():
    page = document([Run("scat-5l-512h-gru", content(0.8123), "emotify", "demo")])
    (row,) = [line for line in page.splitlines() if line.startswith("| scat-5l-512h-gru ")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "scat-5l-512h-gru", "7,776,306", "7776K", "0.812", "0.792 to 0.832", "0.909",
        "emotify: 84 clips, 42 songs, 13 tags", "demo, 4 epochs", "12.5",
    ]  # fmt: skip


def test_a_batch_that_had_to_be_smaller_is_told():
    page = document([Run("sample-cnn-song", content(0.8) | {"batch": 8}, "emotify", "demo")])
    assert "| demo, 4 epochs, batch 8 " in page


def test_exclusive_classes_have_their_accuracy_and_folds(tmp_path):
    found = {
        "corpus": "emotify", "rule": "demo", "clips": 491, "groups": 90, "recall": dict.fromkeys("abcd", 0.5),
        "accuracy": {"normalized": 0.5741, "raw": 0.59, "lowest_fold": 0.5126, "highest_fold": 0.6123},
        "training": {"folds": 3, "epochs": 18, "seconds": 90.0, "parameters": 7},
    }  # fmt: skip
    (tmp_path / "emotify").mkdir()
    (tmp_path / "emotify/mirex-5l-512h-lstm@genre.json").write_text(json.dumps(found))
    page = document(read_papers(tmp_path))
    (row,) = [line for line in page.splitlines() if line.startswith("| mirex-5l-512h-lstm ")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "mirex-5l-512h-lstm", "10,339,338", "", "0.574", "0.513 to 0.612", "",
        "emotify, genre: 491 clips, 90 groups, 4 classes", "demo, 18 epochs in 3 folds", "5.0",
    ]  # fmt: skip
    above = page[: page.index(row)].splitlines()[-2]
    assert "accuracy, ours" in above
    assert "ROC-AUC" not in above


def test_an_experiment_on_another_input_than_the_systems_own_says_which(tmp_path):
    for name in ("mel-2d-cnn", "cqt-2d-cnn", "scat-5l-512h-gru", "linear"):
        (tmp_path / f"{name}.json").write_text(json.dumps(content(0.8)))
    runs = read_experiments(tmp_path, load(ROOT / "params.yaml"), "demo")
    assert {run.system: run.corpus for run in runs} == {
        "mel-2d-cnn": "demo", "cqt-2d-cnn": "demo by cqt-song", "scat-5l-512h-gru": "demo", "linear": "demo",
    }  # fmt: skip


def test_every_system_has_a_row_and_says_so_where_it_was_not_trained():
    page = document([])
    for name in systems.SYSTEMS:
        assert f"| {name} " in page
    assert page.count("not trained yet") == len(systems.SYSTEMS)


def test_a_small_corpus_in_magnatagatunes_layout_is_not_called_magnatagatune():
    assert corpus_name("magnatagatune", None, {"clips": 21_108}) == "MagnaTagATune"
    assert corpus_name("magnatagatune", None, {"clips": 491}) == "a corpus in MagnaTagATune's layout"
    assert corpus_name("magnatagatune", "emotify", {"clips": 491}) == "emotify"
    assert corpus_name("demo", None, {"clips": 576}) == "demo"


def test_what_papers_wrote_is_read(tmp_path):
    folder = tmp_path / "emotify"
    folder.mkdir()
    (folder / "crnn.json").write_text(json.dumps(content(0.7) | {"corpus": "emotify", "rule": "demo"}))
    (run,) = read_papers(tmp_path)
    assert (run.system, run.corpus, run.rule) == ("crnn", "emotify", "demo")
