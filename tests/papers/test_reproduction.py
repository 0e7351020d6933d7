"""The page of the published systems names our figure, that of the paper, and the data of each row."""

from __future__ import annotations

import json

import pytest
from helpers import ROOT

from earmark.config import load
from earmark.models import networks
from earmark.papers.reproduction import Run, corpus_name, document, read_experiments, read_papers
from earmark.systems import published


def content(auc, parameters=7_757_325):  # scat-5l-512h-gru with 13 outputs
    return {
        "test": {
            "roc_auc": {"macro": auc, "low": auc - 0.02, "high": auc + 0.02},
            "clips": 84,
            "songs": 42,
            "tags": {"defined": 13, "undefined": 0},
        },
        "training": {"epochs": 4, "parameters": parameters},
    }


def test_a_row_has_our_figure_the_papers_and_the_data():
    page = document([Run("scat-5l-512h-gru", content(0.8123), "emotify", "demo")])
    (row,) = [line for line in page.splitlines() if line.startswith("| scat-5l-512h-gru ")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "scat-5l-512h-gru", "7,776,306", "7776K", "0.812", "0.792 to 0.832", "0.909",
        "emotify: 84 clips, 42 songs, 13 tags", "demo, 4 epochs",
    ]  # fmt: skip


def cells_of(run):
    """The cells of a run's row."""
    (row,) = [line for line in document([run]).splitlines() if line.startswith(f"| {run.system} ")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_network_that_was_changed_has_its_own_count_and_says_so():
    assert cells_of(Run("scat-5l-512h-gru", content(0.8, 1_234_567), "emotify", "demo"))[1] == "1,234,567, changed"
    same_count = Run("scat-5l-512h-gru", content(0.8), "emotify", "demo", changed=True)
    assert cells_of(same_count)[1] == f"{content(0.8)['training']['parameters']:,}, changed"
    other_outputs = content(0.8) | {"test": content(0.8)["test"] | {"tags": {"defined": 12, "undefined": 2}}}
    assert cells_of(Run("scat-5l-512h-gru", other_outputs, "emotify", "demo"))[1].endswith(", changed")


def test_a_system_of_no_paper_has_the_count_that_was_trained():
    assert cells_of(Run("linear", content(0.8, 11_271), "emotify", "demo"))[1] == "11,271"


@pytest.mark.parametrize("outputs", [40])
def test_every_system_trained_as_published_is_not_taken_for_a_changed_one(outputs):
    for name, system in published.SYSTEMS.items():
        trained = networks.count_parameters(published.build(name, outputs), system.counting)
        found = content(0.8, trained)
        found["test"]["tags"] = {"defined": outputs, "undefined": 0}
        found["recall"] = dict.fromkeys(range(outputs), 0.5)
        found |= {"clips": 9, "groups": 3, "accuracy": {"normalized": 1, "lowest_fold": 1, "highest_fold": 1}}
        wanted = trained if system.parameters is None else system.parameters
        assert cells_of(Run(name, found, "demo", "demo"))[1] == f"{wanted:,}"


def test_a_batch_that_had_to_be_smaller_is_told():
    page = document([Run("sample-cnn-song", content(0.8) | {"batch": 8}, "emotify", "demo")])
    assert "| demo, 4 epochs, batch 8 " in page


def test_exclusive_classes_have_their_accuracy_and_folds(tmp_path):
    found = {
        "corpus": "emotify", "rule": "demo", "clips": 491, "groups": 90, "recall": dict.fromkeys("abcd", 0.5),
        "accuracy": {"normalized": 0.5741, "raw": 0.59, "lowest_fold": 0.5126, "highest_fold": 0.6123},
        "training": {"folds": 3, "epochs": 18, "parameters": 10_336_260},
    }  # fmt: skip
    (tmp_path / "emotify").mkdir()
    (tmp_path / "emotify/mirex-5l-512h-lstm@genre.json").write_text(json.dumps(found))
    page = document(read_papers(tmp_path))
    (row,) = [line for line in page.splitlines() if line.startswith("| mirex-5l-512h-lstm ")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "mirex-5l-512h-lstm", "10,339,338", "", "0.574", "0.513 to 0.612", "",
        "emotify, genre: 491 clips, 90 groups, 4 classes", "demo, 18 epochs in 3 folds",
    ]  # fmt: skip
    above = page[: page.index(row)].splitlines()[-2]
    assert "accuracy, ours" in above
    assert "ROC-AUC" not in above


def test_an_experiment_on_another_input_than_the_systems_own_says_which(tmp_path):
    names = ("mel-2d-cnn", "cqt-2d-cnn", "scat-5l-512h-gru", "linear")
    for name in names:
        (tmp_path / f"{name}.json").write_text(json.dumps(content(0.8)))
    config = load(ROOT / "params.yaml")
    runs = read_experiments(tmp_path, names, config, "demo")
    assert {run.system: run.corpus for run in runs} == {
        "mel-2d-cnn": "demo", "cqt-2d-cnn": "demo by cqt-song", "scat-5l-512h-gru": "demo", "linear": "demo",
    }  # fmt: skip


def test_every_system_has_a_row_and_says_so_where_it_was_not_trained():
    page = document([])
    for name in published.SYSTEMS:
        assert f"| {name} " in page
    assert page.count("not trained yet") == len(published.SYSTEMS)


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
    assert (run.system, run.corpus, run.preset) == ("crnn", "emotify", "demo")
