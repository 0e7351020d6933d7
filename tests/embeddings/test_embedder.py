"""One embedding per file: that of `predict`, of any layer by its name, or of an entry of `encoders`."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
import torch
from helpers.encoders import saved
from helpers.music import music

import earmark
from earmark import representations
from earmark.config import load
from earmark.decode.audio import cut, from_stored, to_stored
from earmark.embeddings.embedder import open_embedder
from earmark.errors import EarmarkError


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    """7.3 s: five segments of what the models of these tests hear."""
    file = tmp_path_factory.mktemp("song") / "song.flac"
    sf.write(file, music(116_800, 16_000), 16_000)
    return file


def of(project, model=None, layer=None):
    return open_embedder(project.params, model, layer, project.data)


@pytest.mark.parametrize("family", ["recurrent", "musicnn", "linear"])
def test_the_embedding_is_to_the_last_bit_the_one_of_predict(tmp_path, project, song, family):
    options = {
        "recurrent": {"units": 6, "layers": 1},
        "musicnn": {"window": 40, "timbre_filters": 3, "rhythm_filters": 2, "middle": 4, "units": 6},
        "linear": {},
    }[family]
    file = tmp_path / "m.safetensors"
    saved(file, family, **options)
    found = of(project, str(file)).embed(song)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, earmark.load(file).embed(song))


def test_without_a_name_it_is_the_first_experiment(project, song):
    found = of(project)
    assert found.name == "linear"
    expected = earmark.load(project.data / "models/linear").embed(song)
    np.testing.assert_array_equal(found.embed(song), expected)


def test_a_layer_by_its_name_is_averaged_over_frames_excerpts_and_segments(project, song):
    file = project.folder / "model.safetensors"
    predictor = earmark.load(file)
    kept = []
    dict(predictor.model.named_modules())["stack"].register_forward_hook(lambda _, __, out: kept.append(out[0]))
    predictor.predict(song)
    expected = torch.stack(kept).mean(dim=(0, 1, 2))
    assert expected.shape == (6,)
    np.testing.assert_allclose(of(project, str(file), "stack").embed(song), expected, rtol=1e-5, atol=1e-6)
    assert of(project, str(file), "logits").embed(song).shape == (5,)


def test_an_entry_of_encoders_hears_a_file_in_segments_as_it_hears_clips(project, song):
    found = of(project, "bands")
    encoder = representations.of(load(project.params).encoders["bands"], "bands")
    wave, _ = sf.read(song, dtype="float32")
    segments = from_stored(to_stored(cut(wave, 28_000, "segments"), "int16"))
    expected = encoder(torch.from_numpy(segments)).mean(dim=(0, 1))
    assert expected.shape == (2,)
    np.testing.assert_allclose(found.embed(song), expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(of(project, "bands", "other").embed(song), expected[1:], rtol=1e-4)


def test_the_mark_tells_models_layers_and_files_apart(project, tmp_path):
    file = project.folder / "model.safetensors"
    marks = [of(project, *names).mark for names in ((), (str(file),), (str(file), "stack"), ("bands",))]
    assert len({tuple(mark.items()) for mark in marks}) == 4
    assert {"model", "layer", "sha256", "settings", "code", "makers"} == set(marks[0])
    copy = tmp_path / "model.safetensors"
    copy.write_bytes(file.read_bytes())
    assert of(project, str(copy)).mark == of(project, str(file)).mark


def test_what_there_is_not_is_refused_with_what_there_is(project):
    with pytest.raises(
        EarmarkError, match=r"must be one of experiments \['linear'\].*encoders are bands: close to ban"
    ):
        of(project, "band")
    with pytest.raises(EarmarkError, match=r"model\.safetensors: layer must be logits or one of stack, .*, got 'stak'"):
        of(project, str(project.folder / "model.safetensors"), "stak")


def test_a_network_without_a_linear_layer_asks_for_the_name_of_one(project, song):
    found = of(project)
    found.segments.args[0].network = torch.nn.Identity()
    with pytest.raises(EarmarkError, match=r"Identity runs no nn\.Linear.*name a layer, or logits"):
        found.embed(song)
