"""The embeddings of the corpus: from cached features where there are any, by its music otherwise, once."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import yaml
from helpers.encoders import saved
from helpers.sealed import sealed, unsealed

from earmark.config import load
from earmark.embeddings import corpus
from earmark.embeddings.corpus import of_corpus
from earmark.embeddings.embedder import open_embedder
from earmark.errors import EarmarkError
from earmark.storage import shards


@pytest.fixture
def copy(project, tmp_path):
    """Of the data folder; the params.yaml is the project's."""
    shutil.copytree(project.data, tmp_path / "data", ignore=shutil.ignore_patterns("waveforms"))
    return tmp_path / "data"


def found(project, data, model=None, layer=None, params=None):
    params = params or project.params
    return of_corpus(load(params), data, open_embedder(params, model, layer, data))


@pytest.mark.parametrize("model", ["linear", "bands"])
def test_from_cached_features_a_clip_has_the_embedding_of_its_file_and_no_music_is_read(
    project, copy, model, monkeypatch
):
    embedder = open_embedder(project.params, model, None, copy)
    expected = {path.name: embedder.embed(path) for path in project.audio.rglob("*.mp3")}
    monkeypatch.setattr(type(embedder.listener), "blocks", None)
    made = found(project, copy, model)
    assert len(made.clips) == 12
    for clip, values in zip(made.clips, made.values, strict=True):
        np.testing.assert_allclose(values, expected[clip.path.partition("/")[2]], rtol=1e-4, atol=1e-4)


def test_it_is_computed_once_and_a_shard_that_has_changed_alone_again(project, copy, monkeypatch):
    shown = []
    real = shards.read_rows
    monkeypatch.setattr(shards, "read_rows", lambda file, rows: (shown.append(len(rows)), real(file, rows))[1])
    first = found(project, copy)
    assert sum(shown) == 12
    shown.clear()
    np.testing.assert_array_equal(found(project, copy).values, first.values)
    assert shown == []
    monkeypatch.setattr(
        corpus, "_source", lambda file: "changed" if file.filename.endswith("/0.h5") else real_source(file)
    )
    found(project, copy)
    with shards.open_shard(copy / "features/mel/0.h5") as file:
        assert sum(shown) == len(file["clip_id"])


real_source = corpus._source


def test_weights_in_a_file_take_an_encoder_of_the_same_file_and_layer_or_the_music(project, copy, tmp_path, capsys):
    file = tmp_path / "m.safetensors"
    saved(file, units=6, layers=1)
    by_music = found(project, copy, str(file))
    assert "the music of the corpus is embedded" in capsys.readouterr().err
    assert len(by_music.clips) == 12
    content = yaml.safe_load(project.params.read_text())
    content["encoders"]["mine"] = {"kind": "encoder", "rate": 16_000, "samples": 28_000, "file": str(file)}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    config = load(tmp_path / "params.yaml")
    (copy / "features/mine").mkdir()
    shutil.copy(copy / "features/bands/0.h5", copy / "features/mine/0.h5")  # any shard: that it is taken is the point
    embedder = open_embedder(tmp_path / "params.yaml", str(file), None, copy)
    taken = corpus.shards_of(config, copy, embedder)
    assert taken is not None
    assert taken.folder == copy / "features/mine"
    other = open_embedder(tmp_path / "params.yaml", str(file), "stack", copy)
    assert corpus.shards_of(config, copy, other) is None


def test_an_experiment_that_hears_otherwise_than_its_features_were_made_is_heard_by_the_music(project, copy, tmp_path):
    content = yaml.safe_load(project.params.read_text())
    content["experiments"]["linear"]["representation"] = "bands"  # since it was trained
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    embedder = open_embedder(tmp_path / "params.yaml", "linear", None, copy)
    assert corpus.shards_of(load(tmp_path / "params.yaml"), copy, embedder) is None


@pytest.mark.parametrize(
    ("folder", "model", "command"),
    [
        ("features/mel", "linear", "dvc repro features@mel"),
        ("features/bands", "bands", "dvc repro encode@bands"),
        ("corpus", "linear", "dvc repro corpus"),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_makes_it(project, copy, folder, model, command):
    shutil.rmtree(copy / folder)
    with pytest.raises(EarmarkError, match=command):
        found(project, copy, model)


def test_features_of_none_of_the_clips_are_an_error(project, copy):
    manifest = copy / "corpus/manifest.csv"
    lines = unsealed(manifest).splitlines()
    sealed(manifest, "\n".join([lines[0], *("x" + line for line in lines[1:])]) + "\n")
    with pytest.raises(EarmarkError, match="none of the 12 clips of the corpus has features"):
        found(project, copy)
