"""The embeddings of several layers: what is in their shards, and when they are computed again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.encoders import saved

from earmark import representations
from earmark.config import ConfigError, RepresentationConfig
from earmark.corpus.manifest import read_manifest
from earmark.decode.waveforms import Waveforms
from earmark.errors import EarmarkError
from earmark.features.dataset import read_features
from earmark.features.extract import extract
from earmark.probe import embeddings
from earmark.storage import shards


class Cache:
    """The cache of one encoder; ``passes`` has, for every network that was opened, its layers and its clips."""

    def __init__(self, place, monkeypatch) -> None:
        self.place, self.passes = place, []
        self.out = place.data / "probes/mine"
        self.waveforms = Waveforms(
            place.data / "waveforms/16000", read_manifest(place.data / "corpus/manifest.csv"), place.audio
        )
        opened = embeddings.open_layers

        def noted(name, config, layers):
            network = opened(name, config, layers)
            self.passes.append([list(layers), 0])
            network.register_forward_hook(lambda _, given, __: self._count(len(given[0])))
            return network

        monkeypatch.setattr(embeddings, "open_layers", noted)

    def _count(self, clips: int) -> None:
        self.passes[-1][1] += clips

    def settings(self, **options) -> RepresentationConfig:
        return representations.resolve(self.place.config.encoders["mine"].model_copy(update=options), "mine")

    def run(self, *layers: str, **options) -> dict[str, Path]:
        """Return the folders of the layers, and forget earlier passes."""
        self.passes.clear()
        return embeddings.cache("mine", self.settings(**options), layers, self.waveforms, self.out)


@pytest.fixture
def cache(place, monkeypatch):
    return Cache(place, monkeypatch)


def test_each_layer_has_the_shards_that_the_pipeline_would_make_of_it(cache, tmp_path):
    saved(tmp_path / "m.safetensors", units=6, layers=1)
    cache.place.add("encoders", mine={
        "kind": "encoder", "rate": 16_000, "samples": 28_000, "file": str(tmp_path / "m.safetensors"),
        "pooling": "mean-std",
    })  # fmt: skip
    folders = cache.run("stack", "logits")
    assert cache.passes == [[["stack", "logits"], 12]]
    ids = [clip.clip_id for clip in read_manifest(cache.place.data / "corpus/manifest.csv")]
    for layer, dims in (("stack", 12), ("logits", 10)):
        settings = cache.settings(layer=layer)
        extract(cache.waveforms, tmp_path / layer, settings)
        ours, theirs = (read_features(folder, ids)[1] for folder in (folders[layer], tmp_path / layer))
        assert ours.shape == (12, 5, dims)  # five windows
        np.testing.assert_array_equal(ours, theirs)
        with shards.open_shard(folders[layer] / "0.h5") as mine, shards.open_shard(tmp_path / layer / "0.h5") as other:
            assert set(mine.attrs) == set(other.attrs)
            assert set(mine["axes"]) == set(other["axes"])
            for key in set(mine.attrs) - {"fingerprint"}:
                assert mine.attrs[key] == other.attrs[key], key


def test_a_second_run_computes_nothing_and_another_layer_itself_alone(cache):
    cache.run("spectrum")
    assert cache.run("spectrum")
    assert cache.passes == []
    cache.run("spectrum", "nothing")
    assert cache.passes == [[["nothing"], 12]]


def test_a_lost_or_damaged_shard_alone_is_computed_again_with_the_same_bytes(cache):
    folder = cache.run("spectrum", "nothing")["spectrum"]
    before = {path.name: path.read_bytes() for path in folder.glob("*.h5")}
    content = bytearray(before["0.h5"])
    content[-9] ^= 1
    (folder / "0.h5").write_bytes(content)
    (folder / ".1.h5.host-1.tmp").write_text("left by a killed run")
    cache.run("spectrum", "nothing")
    assert [layers for layers, _ in cache.passes] == [["spectrum"]]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_run_that_ends_on_an_error_keeps_its_finished_shards_and_goes_on_after_them(cache, monkeypatch):
    written = embeddings._Pass.write
    done = []

    def fails_at_the_second(self, source, targets, bar):
        if done:
            raise KeyboardInterrupt
        done.append(len(shards.clip_ids(source)))
        written(self, source, targets, bar)

    monkeypatch.setattr(embeddings._Pass, "write", fails_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        cache.run("spectrum", "nothing")
    monkeypatch.setattr(embeddings._Pass, "write", written)
    cache.run("spectrum", "nothing")
    assert cache.passes == [[["spectrum", "nothing"], 12 - done[0]]]


def test_another_file_or_option_computes_all_anew(cache, tmp_path):
    cache.run("spectrum")
    cache.run("spectrum", pooling="mean")
    assert cache.passes == [[["spectrum"], 12]]
    (tmp_path / "e.py").write_text((tmp_path / "e.py").read_text() + "# another\n")
    cache.run("spectrum", pooling="mean")
    assert cache.passes == [[["spectrum"], 12]]


def test_clips_that_do_not_fit_into_memory_at_one_time_are_encoded_in_smaller_batches(cache, capsys, monkeypatch):
    whole = read_features(cache.run("spectrum")["spectrum"], ["10", "11", "12"])[1]
    (cache.out / "spectrum/0.h5").unlink()
    forward, sizes = torch.nn.Module.__call__, []

    def lacks_memory(self, wave):
        sizes.append(len(wave))
        if len(wave) > 1:
            raise RuntimeError("not enough memory: you tried to allocate 9 bytes")
        return forward(self, wave)

    monkeypatch.setattr("earmark.encoders.script.Script.__call__", lacks_memory, raising=False)
    found = read_features(cache.run("spectrum")["spectrum"], ["10", "11", "12"])[1]
    np.testing.assert_array_equal(found, whole)
    assert sizes[0] > 1
    assert set(sizes[2:]) == {1}
    assert "clips at once do not fit into memory, going on with" in capsys.readouterr().err


def test_a_layer_that_is_not_there_or_not_finite_is_refused_by_name(cache, tmp_path):
    with pytest.raises(ConfigError, match=r"^encoders\.mine\.file cannot be used: layer must be one of spectrum, noth"):
        cache.run("spectra")
    (tmp_path / "e.py").write_text(
        (tmp_path / "e.py").read_text().replace("np.zeros((7, 2))", "np.full((7, 2), np.inf)")
    )
    with pytest.raises(EarmarkError, match=r"^encoders\.mine, layer nothing: .*e\.py gave NaN or infinite .*--layers"):
        cache.run("spectrum", "nothing")
    assert not list(cache.out.rglob("*.h5*"))


def test_any_name_of_a_layer_is_the_name_of_a_folder(cache, tmp_path):
    odd = "a/b:../c;d"
    (tmp_path / "e.py").write_text((tmp_path / "e.py").read_text().replace('"spectrum"', f'"{odd}"'))
    folder = cache.run(odd)[odd]
    assert folder.parent == cache.out
    assert list(folder.glob("*.h5"))
