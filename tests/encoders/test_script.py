"""A Python file as an encoder: what `encode` returns, and what is told if it fails."""

from __future__ import annotations

import pytest
import torch
from helpers.encoders import encoder, waves

from earmark.config import ConfigError
from earmark.errors import EarmarkError
from earmark.representations.encoder import opened

BLOCKS = """
RATE = 16_000

def encode(wave, layer="a"):
    blocks = wave[:20_000].reshape(10, 2_000)
    return blocks[:, :3] if layer == "a" else blocks[:, :5]
"""


def test_frames_are_what_encode_returns_of_each_clip(tmp_path):
    (tmp_path / "e.py").write_text(BLOCKS)
    heard = encoder(tmp_path / "e.py", pooling="none")
    torch.testing.assert_close(heard(waves()), waves().reshape(3, 10, 2_000)[:, :, :3])
    assert heard.axes["seconds_per_frame"] == pytest.approx(0.125)
    assert encoder(tmp_path / "e.py", layer="b").n_dims == 5
    assert encoder(tmp_path / "e.py", pooling="mean-std")(waves()).shape == (3, 1, 6)


def test_one_vector_of_a_clip_is_one_frame(tmp_path):
    (tmp_path / "e.py").write_text("def encode(wave):\n    return [wave.max(), wave.min()]\n")
    assert encoder(tmp_path / "e.py")(waves()).shape == (3, 1, 2)


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("def encode(wave):\n    return 1 / 0\n", {}, r"e\.py, line 2: ZeroDivisionError: division by zero"),
        ("def encode(:\n", {}, r"e\.py, line 1: invalid syntax"),
        ("import nosuchpackage\n", {}, r"e\.py, line 1: ModuleNotFoundError: No module named 'nosuchpackage'"),
        ("def encoder(wave): ...\n", {}, r"e\.py must have a function `encode` at its top level, got None"),
        ("def encode(wave): ...\n", {"layer": "a"}, r"layer must be left out, got 'a': `encode` of .* takes none"),
        ("def encode(wave): ...\n", {"hop": 5}, r"hop must be left out, got 5: `encode` of .* gets the whole wave"),
        ("def encode(wave):\n    return 5.0\n", {}, r"must return \(frames, dims\) for a wave of 20000 .*, got \(\)"),
        ("LAYERS = ('a', 'b')\ndef encode(wave): ...\n", {}, r"names LAYERS, so that `encode` must take them"),
        ("LAYERS = 'ab'\ndef encode(wave, layer): ...\n", {}, r"LAYERS must be a tuple of names, got 'ab'"),
        (f"LAYERS = ('a', 'b')\n{BLOCKS}", {"layer": "ab"}, r"layer must be one of a, b, the LAYERS of .*, got 'ab'"),
        (BLOCKS, {"rate": 22_050}, r"rate must be 16000 Hz, the RATE of .*e\.py, got 22050 Hz"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_file_is_told_in_one_line(tmp_path, text, options, told):
    (tmp_path / "e.py").write_text(text)
    with pytest.raises(ConfigError, match=rf"^encoders\.mine\.file cannot be used: .*{told}") as refused:
        encoder(tmp_path / "e.py", **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("wave[: 3 if wave[0] == 0 else 4]", r"must return \(3, 1, 3\)|must return the same"),
        ("wave[:2] / (0 if wave[0] else 1)", "gave NaN or infinite values"),
    ],
)
def test_an_output_that_changes_its_dims_or_is_not_finite_is_refused(tmp_path, returned, told):
    (tmp_path / "e.py").write_text(
        f"import numpy as np\nnp.seterr(all='ignore')\ndef encode(wave):\n    return {returned}\n"
    )
    heard = encoder(tmp_path / "e.py")
    with pytest.raises(ValueError, match=told):
        heard(waves())


def test_a_file_names_its_layers_and_the_first_one_is_taken_if_encode_has_no_default(tmp_path):
    file = tmp_path / "e.py"
    file.write_text("LAYERS = ('a', 'b')\n" + BLOCKS.replace('layer="a"', "layer"))
    network = opened(file, 16_000, 20_000, ["b", "a"])
    assert dict(network.layers().shapes) == {"a": (10, 3), "b": (10, 5)}
    wide, narrow = network(waves())
    torch.testing.assert_close(wide[..., :3], narrow)
    torch.testing.assert_close(opened(file, 16_000, 20_000, [None])(waves())[0], narrow)


def test_all_layers_of_a_clip_come_before_the_next_clip(tmp_path):
    """So that a file that remembers the last wave runs its network once for all layers of it."""
    body = "    seen.append(layer)\n    return wave[:2] + len(seen)\n"
    (tmp_path / "e.py").write_text(f"LAYERS = ('a', 'b')\nseen = []\ndef encode(wave, layer):\n{body}")
    network = opened(tmp_path / "e.py", 16_000, 20_000, ["a", "b"])
    first, second = network(torch.zeros(2, 20_000))
    assert [first[0, 0, 0, 0], second[0, 0, 0, 0], first[1, 0, 0, 0], second[1, 0, 0, 0]] == [3, 4, 5, 6]


def test_a_file_that_does_not_name_its_layers_is_told_how(tmp_path):
    (tmp_path / "e.py").write_text(BLOCKS)
    with pytest.raises(EarmarkError, match=r"does not say which layers it has: `LAYERS = \(\"name\", \.\.\.\)`"):
        opened(tmp_path / "e.py", 16_000, 20_000, [None]).layers()
