"""The models of a folder are found by what is in it, one or one per seed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.encoders import saved as write_saved

from earmark.models.saved import FILE, ModelError, SavedModel
from earmark.travel import folder


def with_seed(place, seed):
    write_saved(place / FILE, layers=1, units=8, cell="gru")
    saved = SavedModel.load(place / FILE)
    replace(saved, training={**saved.training, "seed": seed}).save(place / FILE)


def test_seeds_come_in_the_order_of_their_numbers(tmp_path):
    for seed in (10, 9):
        with_seed(tmp_path / f"seed-{seed}", seed)
    expected = [tmp_path / f"seed-{seed}" / FILE for seed in (9, 10)]
    assert folder.model_files(tmp_path) == expected
    assert list(folder.members(tmp_path).items()) == list(
        zip(("seed-9.safetensors", "seed-10.safetensors"), expected, strict=True)
    )


def test_the_only_model_is_called_by_the_seed_that_it_was_trained_from(tmp_path):
    with_seed(tmp_path, 7)
    assert folder.members(tmp_path) == {"seed-7.safetensors": tmp_path / FILE}


def test_a_folder_without_a_model_is_refused_with_its_name(tmp_path):
    with pytest.raises(ModelError, match=rf"{tmp_path.name}/model\.safetensors does not exist"):
        folder.members(tmp_path)
