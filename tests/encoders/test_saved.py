"""Models of earmark as encoders: their own input, the windows that they were trained on, and every layer."""

from __future__ import annotations

import pytest
import torch
from helpers.encoders import RATE, encoder, saved, waves

from earmark import representations
from earmark.config import ConfigError
from earmark.models import networks
from earmark.representations.encoder import opened


def features(model, wave):
    """Standardised mel of a clip, (batch, frames, dims), as the model hears it."""
    config = model.representation.model_copy(update={"samples": wave.shape[1]})
    mean, scale = (torch.from_numpy(values) for values in (model.standardizer.mean, model.standardizer.inverse_std))
    return (representations.of(config)(wave) - mean) * scale


def test_a_window_is_what_the_network_was_trained_on_and_the_embedding_what_enters_its_last_layer(tmp_path):
    model = saved(tmp_path / "m.safetensors", units=6, layers=1)
    heard, network = encoder(tmp_path / "m.safetensors"), model.build()
    x = features(model, waves())
    with torch.no_grad():
        found = heard(waves())
        for number in range(heard.n_frames):
            window = x[:, 20 * number : 20 * number + 20]
            torch.testing.assert_close(found[:, number], networks.embed(network, window), rtol=1e-5, atol=1e-6)
    assert found.shape == (3, 3, 6)  # 79 frames: three windows of 20, and 19 frames left over
    assert heard.axes["seconds_per_frame"] == pytest.approx(20 * 256 / RATE)
    assert heard.warning("mine") == (
        f"warning: encoders.mine: 24.1 % of a clip's samples lie in no window of {tmp_path / 'm.safetensors'}"
    )


@pytest.mark.parametrize(("pooling", "shape"), [("none", (3, 60, 6)), ("mean", (3, 3, 6)), ("mean-std", (3, 3, 12))])
def test_a_layer_over_time_is_pooled_over_each_window(tmp_path, pooling, shape):
    model = saved(tmp_path / "m.safetensors", units=6, layers=1)
    heard = encoder(tmp_path / "m.safetensors", layer="stack", pooling=pooling)
    network, kept = model.build(), []
    dict(network.named_modules())["stack"].register_forward_hook(lambda _, __, out: kept.append(out[0]))
    with torch.no_grad():
        found = heard(waves())
        network(features(model, waves())[:, 20:40])
    assert found.shape == shape
    second = {"none": found[:, 20:40], "mean": found[:, 1], "mean-std": found[:, 1]}[pooling]
    wanted = {
        "none": kept[0], "mean": kept[0].mean(1),
        "mean-std": torch.cat([kept[0].mean(1), kept[0].std(1, correction=0)], 1),
    }[pooling]  # fmt: skip
    torch.testing.assert_close(second, wanted, rtol=1e-4, atol=1e-5)


def test_windows_overlap_where_the_hop_is_shorter(tmp_path):
    saved(tmp_path / "m.safetensors", units=6, layers=1)
    half = encoder(tmp_path / "m.safetensors", hop=10 * 256)
    whole = encoder(tmp_path / "m.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(half(waves())[:, ::2][:, :3], whole(waves()))
    assert half.n_frames == 6


def test_a_clip_shorter_than_a_window_is_filled_with_zeros(tmp_path):
    saved(tmp_path / "m.safetensors", window=200, samples=60_000, units=6, layers=1)
    assert encoder(tmp_path / "m.safetensors")(waves()).shape == (3, 1, 6)


def test_the_logits_and_layers_of_convolutions_are_frames_by_dims(tmp_path):
    saved(tmp_path / "m.safetensors", "musicnn", window=40, timbre_filters=3, rhythm_filters=2, middle=4, units=6)
    assert encoder(tmp_path / "m.safetensors", layer="logits").n_dims == 5
    heard = encoder(tmp_path / "m.safetensors", layer="middle.2", pooling="none")
    assert (heard.n_frames, heard.n_dims) == (40, 4)  # 79 frames: one window
    assert encoder(tmp_path / "m.safetensors", layer="middle.2").n_frames == 1


def test_a_layer_is_the_same_whoever_else_is_in_the_batch(tmp_path):
    saved(tmp_path / "m.safetensors", units=6, layers=1)
    heard = encoder(tmp_path / "m.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(heard(waves())[1:2], heard(waves()[1:2]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"layer": "stak"}, r"layer must be logits or one of stack, .*, got 'stak': close to stack"),
        ({"rate": 22_050}, r"rate must be 16000 Hz, which .*m\.safetensors hears, got 22050 Hz"),
        ({"front": {"kind": "mel"}}, r"front must be left out: .*m\.safetensors brings its own, mel"),
    ],
)
def test_what_does_not_suit_the_model_is_refused(tmp_path, options, told):
    saved(tmp_path / "m.safetensors", units=6, layers=1)
    with pytest.raises(ConfigError, match=rf"^encoders\.mine\.file cannot be used: {told}"):
        encoder(tmp_path / "m.safetensors", **options)


def test_a_damaged_model_is_refused(tmp_path):
    saved(tmp_path / "m.safetensors", units=6, layers=1)
    content = bytearray((tmp_path / "m.safetensors").read_bytes())
    content[-9] ^= 1
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(ConfigError, match=r"^encoders\.mine\.file cannot be used: .*m\.safetensors is damaged"):
        encoder(tmp_path / "m.safetensors")


def test_its_layers_are_told_in_the_order_in_which_they_run_without_those_that_are_the_same(tmp_path):
    file = tmp_path / "m.safetensors"
    saved(file, "musicnn", window=40, timbre_filters=3, rhythm_filters=2, middle=4, units=6)
    assert dict(opened(file, RATE, 20_000, [None]).layers().shapes) == {
        "input_norm": (40, 24), "front.0": (40, 3), "front.1": (40, 3), "front.2": (40, 2), "front.3": (40, 2),
        "front.4": (40, 2), "timbral": (40, 6), "temporal": (40, 6), "cnn1": (40, 4), "middle.1": (40, 4),
        "cnn2": (40, 4), "middle.2": (40, 4), "cnn3": (40, 4), "max_pool": (1, 24), "mean_pool": (1, 24),
        "dense.1": (1, 48), "penultimate": (1, 6), "logits": (1, 5),
    }  # fmt: skip


def test_a_block_of_convolutions_is_one_layer_and_one_that_is_too_wide_is_left_out(tmp_path, monkeypatch):
    file = tmp_path / "m.safetensors"
    saved(file, "crnn", window=40, channels=[3, 4], pools=[[2, 2], [2, 2]], layers=1, units=6)
    assert dict(opened(file, RATE, 20_000, [None]).layers().shapes) == {
        "blocks.0": (20, 36), "blocks": (10, 24), "rnn": (10, 6), "logits": (1, 5)
    }  # fmt: skip
    monkeypatch.setattr("earmark.encoders.choice.LARGEST", 30)
    found = opened(file, RATE, 20_000, [None]).layers()
    assert list(found.shapes) == ["blocks", "rnn", "logits"]
    assert found.note == "more than 30 dims: blocks.0 (36)"


def test_several_layers_out_of_one_pass_are_those_of_one_each(tmp_path):
    file = tmp_path / "m.safetensors"
    saved(file, "musicnn", window=40, timbre_filters=3, rhythm_filters=2, middle=4, units=6)
    network = opened(file, RATE, 20_000, ["cnn2", "logits", "penultimate"])
    calls = []
    network.network.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        found = network(waves())
        assert len(calls) == 1
        assert [tuple(each.shape[1:]) for each in found] == network.shapes == [(1, 40, 4), (1, 1, 5), (1, 1, 6)]
        for layer, each in zip(("cnn2", "logits", "penultimate"), found, strict=True):
            assert torch.equal(opened(file, RATE, 20_000, [layer])(waves())[0], each)
