"""A model is measured on its own features, labels and standardizer, and on no others."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from helpers.features import extract
from helpers.sealed import sealed, unsealed
from helpers.small_data import fill

from earmark.corpus.manifest import read_manifest
from earmark.decode import corpus as decode
from earmark.decode.waveforms import Waveforms
from earmark.errors import EarmarkError
from earmark.features.standardize import Standardizer
from earmark.models.saved import FILE, SavedModel


@pytest.fixture
def place(tmp_path, make_corpus):
    return fill(tmp_path, *make_corpus())


def test_what_an_evaluation_writes_says_what_the_training_took_and_no_time(place):
    written = place.evaluate("linear")
    metrics = json.loads(written.metrics.read_text())
    details = json.loads(written.details.read_text())
    assert metrics == {
        "roc_auc": details["test"]["roc_auc"]["macro"], "low": details["test"]["roc_auc"]["low"],
        "high": details["test"]["roc_auc"]["high"], "pr_auc": details["test"]["pr_auc"]["macro"],
    }  # fmt: skip
    assert details["test"]["clips"] == 2
    assert details["test"]["missing_clips"] == 0
    assert set(details["training"]) == {
        "epochs", "best_epoch", "excerpt_frames", "excerpts", "valid_roc_auc", "parameters", "seed", "seeded",
    }  # fmt: skip
    assert written.curves.read_text() == (place.data / "models/linear/curves.csv").read_text()
    again = place.evaluate("linear", place.folder / "again")
    for name in vars(written):
        assert getattr(again, name).read_bytes() == getattr(written, name).read_bytes()


def other_features(place):
    compute(place, hop=128)


def other_waveforms(place):
    config = place.config.waveforms[16_000].model_copy(update={"policy": "center"})
    clips = read_manifest(place.data / "corpus/manifest.csv")
    decode.decode_corpus(clips, place.audio, 16_000, config, place.data / "waveforms/16000")
    compute(place)


def compute(place, **changes):
    settings = place.config.representations["mel"].model_dump(mode="json") | changes
    clips = read_manifest(place.data / "corpus/manifest.csv")
    extract(Waveforms(place.data / "waveforms/16000", clips, place.audio), place.inputs[0], settings)


def other_tags(place):
    labels = place.inputs[1]
    sealed(labels, unsealed(labels).replace("high", "squeaky", 1))


def other_standardizer(place):
    fitted = Standardizer.load(place.inputs[2])
    mean = fitted.mean.copy()
    mean[3] = np.nextafter(mean[3], np.float32(9))
    dataclasses.replace(fitted, mean=mean).save(place.inputs[2])


@pytest.mark.parametrize(
    ("change", "what", "which"),
    [(other_features, "representation", 0), (other_waveforms, "waveforms", 0), (other_tags, "tags", 1),
     (other_standardizer, "standardizer", 2)],
)  # fmt: skip
def test_inputs_that_are_not_the_models_are_refused_and_both_are_named(place, change, what, which):
    change(place)
    with pytest.raises(EarmarkError) as caught:
        place.evaluate("linear")
    text = str(caught.value)
    assert text.startswith(f"{place.inputs[which]} does not fit the model {place.data / 'models/linear' / FILE}")
    assert f"was trained with other {what}; run `dvc repro train@linear`" in text
    assert not (place.folder / "evaluated").exists()


def test_an_evaluation_is_at_the_models_own_thresholds(place):
    file = place.data / "models/linear" / FILE
    kept = SavedModel.load(file)
    dataclasses.replace(kept, thresholds=(0.0, None, None)).save(file)
    found = json.loads(place.evaluate("linear").details.read_text())["test"]["equal_error"]["chosen_on_valid"]
    assert found == {"tpr": 1.0, "fpr": 1.0, "tags": 1}
