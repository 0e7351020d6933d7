"""A model card tells what a model hears, what it says and how good it is."""

from __future__ import annotations

from helpers.encoders import saved as write_saved

from earmark.models.saved import SavedModel
from earmark.travel.card import card, describe


def test_a_card_tells_corpus_figures_tags_and_licence(tmp_path):
    write_saved(tmp_path / "m.safetensors", layers=1, units=8, cell="gru")
    model = SavedModel.load(tmp_path / "m.safetensors")
    figures = {"roc_auc": 0.8123, "low": 0.79, "high": 0.83, "pr_auc": 0.4}
    text = card(describe([model], "MagnaTagATune", "CC BY 4.0", figures, {"clips": 104, "songs": 34}))
    for told in (
        "Trained on** MagnaTagATune", "macro ROC-AUC 0.812 (95 % interval over songs 0.790 to 0.830)",
        "on 104 clips of 34 songs", "Licence**: CC BY 4.0", "mono at 16000 Hz", "as mel", "| a |", "to 5 tags",
    ):  # fmt: skip
        assert told in text


def test_a_model_that_was_not_measured_says_so(tmp_path):
    write_saved(tmp_path / "m.safetensors", layers=1, units=8, cell="gru")
    assert "**Measured**: not measured." in card(
        describe([SavedModel.load(tmp_path / "m.safetensors")], "x", "y", {}, {})
    )
