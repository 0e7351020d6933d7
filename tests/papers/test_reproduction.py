"""The page of the published systems names our figure, that of the paper, and the data of each row."""

from __future__ import annotations

import json

import pytest
from helpers import ROOT

from earmark.config import load
from earmark.models import networks
from earmark.papers.reproduction import Run, corpus_name, document, label_rule, read_papers, read_runs
from earmark.systems import published

LABELS = {"top": 13, "merged": True, "clean": False, "split": "artist"}


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
    page = document([Run("scat-5l-512h-gru", content(0.8123), "emotify", "quick-recurrent", LABELS)])
    (row,) = [line for line in page.splitlines() if line.startswith("| scat-5l-512h-gru ")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "scat-5l-512h-gru", "7,776,306", "7776K", "0.812", "0.792 to 0.832", "0.909",
        "", "emotify: 84 clips, 42 songs, 13 tags", "top 13, merged, full, split artist",
        "quick-recurrent, 4 epochs", "",
    ]  # fmt: skip


def cells_of(run):
    """The cells of a run's row."""
    (row,) = [line for line in document([run]).splitlines() if line.startswith(f"| {run.system} ")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_network_that_was_changed_has_its_own_count_and_says_so():
    assert cells_of(Run("scat-5l-512h-gru", content(0.8, 1_234_567), "emotify", "quick"))[1] == "1,234,567, changed"
    same_count = Run("scat-5l-512h-gru", content(0.8), "emotify", "quick", changed=["cell gru, not gru-paper"])
    assert cells_of(same_count)[-1] == "changed: cell gru, not gru-paper"
    other_outputs = content(0.8) | {"test": content(0.8)["test"] | {"tags": {"defined": 12, "undefined": 2}}}
    assert cells_of(Run("scat-5l-512h-gru", other_outputs, "emotify", "quick"))[1].endswith(", changed")


def test_a_system_of_no_paper_has_the_count_that_was_trained():
    assert cells_of(Run("linear", content(0.8, 11_271), "emotify", "quick"))[1] == "11,271"


@pytest.mark.parametrize("outputs", [40])
def test_every_system_trained_as_published_is_not_taken_for_a_changed_one(outputs):
    for name, system in published.SYSTEMS.items():
        trained = networks.count_parameters(published.build(name, outputs), system.counting)
        found = content(0.8, trained)
        found["test"]["tags"] = {"defined": outputs, "undefined": 0}
        found["recall"] = dict.fromkeys(range(outputs), 0.5)
        found |= {"clips": 9, "groups": 3, "accuracy": {"normalized": 1, "lowest_fold": 1, "highest_fold": 1}}
        wanted = trained if system.parameters is None else system.parameters
        assert cells_of(Run(name, found, "demo", "quick"))[1] == f"{wanted:,}"


def test_a_batch_that_had_to_be_smaller_is_told():
    page = document([Run("sample-cnn-song", content(0.8) | {"batch": 8}, "emotify", "quick")])
    assert "| quick, 4 epochs, batch 8 " in page


def test_exclusive_classes_have_their_accuracy_and_folds(tmp_path):
    found = {
        "corpus": "emotify", "rule": "quick", "clips": 491, "groups": 90, "recall": dict.fromkeys("abcd", 0.5),
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
        "", "emotify, genre: 491 clips, 90 groups, 4 classes", "", "quick-recurrent, 18 epochs, 3 folds", "",
    ]  # fmt: skip
    above = page[: page.index(row)].splitlines()[-2]
    assert "accuracy, ours" in above
    assert "ROC-AUC" not in above


def test_the_papers_other_figures_stand_beside_ours():
    found = content(0.8)
    rates = {"chosen_on_test": {"tpr": 0.7, "fpr": 0.31, "tags": 13}}
    found["test"] |= {"equal_error": rates, "half": {"accuracy": 0.93, "loss": 0.2}, "pr_auc": {"macro": 0.412}}
    assert cells_of(Run("mel-2d-cnn", found, "emotify", "quick"))[6] == "TPR 0.700 (0.827), FPR 0.310 (0.173)"
    assert cells_of(Run("crnn", found, "emotify", "quick"))[6] == "accuracy 0.930 (0.94), loss 0.200 (0.15)"
    assert cells_of(Run("musicnn", found, "emotify", "quick"))[6] == "PR-AUC 0.412 (0.449)"
    found["test"]["equal_error"] = {"chosen_on_test": {"tags": 0}}
    assert cells_of(Run("mel-2d-cnn", found, "emotify", "quick"))[6] == "TPR undefined, FPR undefined"


def test_what_is_otherwise_than_published_is_named_and_so_are_labels_and_recipe(tmp_path):
    for folder, name, text in (
        *(("details", name, content(0.8)) for name in ("mel-2d-cnn", "cqt-2d-cnn", "scat-5l-512h-gru", "linear")),
        ("labels", "top50", {"clips": 576}),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.json").write_text(json.dumps(text))
    config = load(ROOT / "params.yaml")
    experiments = config.experiments | {"mine": config.experiments["linear"]}
    changed = {"mel-2d-cnn": experiments["mel-2d-cnn"].model_copy(update={"network": {"dropout": 0.2}})}
    config = config.model_copy(update={"experiments": experiments | changed})
    runs = {run.system: run for run in read_runs(config, tmp_path, [*config.experiments])}
    assert set(runs) == {"mel-2d-cnn", "cqt-2d-cnn", "scat-5l-512h-gru", "linear"}  # mine claims to be none
    assert runs["mel-2d-cnn"].changed == ["dropout 0.2, not 0.1"]
    assert runs["cqt-2d-cnn"].changed == ["samples 465984, not 464000", "hop 1792, not 256"]
    assert runs["scat-5l-512h-gru"].changed[0] == "normalization log, not song"
    assert runs["mel-2d-cnn"].recipe == "quick"
    assert runs["linear"].labels == {"top": 50, "merged": False, "clean": True, "split": "corpus"}
    assert label_rule(config, "top50") == runs["linear"].labels


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
    (folder / "crnn.json").write_text(json.dumps(content(0.7) | {"corpus": "emotify", "rule": "quick"}))
    (run,) = read_papers(tmp_path)
    assert (run.system, run.corpus, run.recipe) == ("crnn", "emotify", "quick")
