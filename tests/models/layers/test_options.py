"""Every option of a network stands in the signature of its ``build``, and out of its limits it is refused by name."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest
from helpers.model_checks import single_thread
from pydantic import TypeAdapter

from earmark.models import networks
from earmark.storage import provenance
from earmark.systems import published

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)
FAMILIES = provenance.plugins("models")
# An input that is large enough for the network, as (frames, dims).
INPUTS = {"harmonic_cnn": (80_000, 1), "sample_cnn": (60_000, 1), "fully_convolutional": (114, 433)}
CHANNELS = [
    ({"channels": 8}, r"channels must be a list of at least one number, got 8"),
    ({"channels": []}, r"channels must be a list of at least one number, got \[\]"),
    ({"channels": [8, 0, 8, 8]}, r"channels\[1\] must be at least 1, got 0"),
    ({"channels": [8, 2.5, 8, 8]}, r"channels\[1\] must be a whole number, got 2\.5"),
]
POOLS = [
    ({"pools": [[2, 2]] * 3}, r"pools must be a list of 4 pairs, one per block, got \[\[2, 2\], \[2, 2\], \[2, 2\]\]"),
    ({"pools": 2}, r"pools must be a list of 4 pairs, one per block, got 2"),
    ({"pools": [2, 2, 2, 2]}, r"pools\[0\] must be a pair \(frames, dims\), got 2"),
    ({"pools": [[2, 2], [2, 0], [2, 2], [2, 2]]}, r"pools\[1\]\[1\] must be at least 1, got 0"),
]
DROPOUT = [
    ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1\.0"),
    ({"dropout": -0.1}, r"dropout must be in \[0, 1\), got -0\.1"),
    ({"dropout": float("nan")}, r"dropout must be in \[0, 1\), got nan"),
    ({"dropout": True}, r"dropout must be in \[0, 1\), got True"),
]
ACTIVATION = [({"activation": "gelu"}, r"activation must be one of relu, leaky-relu, elu, tanh, got 'gelu'")]


def counts(*names: str) -> list[tuple[dict[str, Any], str]]:
    """What no number of layers, units and so on may be."""
    wrong = [
        (0, "be at least 1, got 0"), (-3, "be at least 1, got -3"), (2.0, r"be a whole number, got 2\.0"),
        (True, "be a whole number, got True"), ("8", "be a whole number, got '8'"),
    ]  # fmt: skip
    return [({name: value}, f"{name} must {told}") for name in names for value, told in wrong]


WRONG: dict[str, list[tuple[dict[str, Any], str]]] = {
    "attention_pool": [
        *counts("heads", "score_units"), *DROPOUT,
        ({"score": "dot"}, "score must be one of linear, tanh, gated, got 'dot'"),
        ({"projection": -1}, "projection must be at least 0, got -1"),
        ({"statistics": 1}, "statistics must be true or false, got 1"),
        ({"batch_norm": 0}, "batch_norm must be true or false, got 0"),
    ],
    "mlp": [
        *counts("hidden"), *DROPOUT, *ACTIVATION, ({"batch_norm": 0}, "batch_norm must be true or false, got 0"),
    ],
    "attentive_branches": [
        *counts("members", "layers", "channels", "kernel", "heads"), *DROPOUT,
        ({"parts": [90, 5]}, r"parts must add up to dims=96, got \[90, 5\]"),
        ({"parts": [96, 0]}, r"parts\[1\] must be at least 1, got 0"),
        ({"kernel": 2}, "kernel must be odd, got 2"),
        ({"seen": 0.0}, r"seen must be in \(0, 1\], got 0\.0"),
        ({"seen": 1.5}, r"seen must be in \(0, 1\], got 1\.5"),
        ({"statistics": 1}, "statistics must be true or false, got 1"),
        ({"penalty": -1.0}, r"penalty must be at least 0, got -1\.0"),
    ],
    "bilstm": [*counts("layers", "units", "convolutions", "channels"), *DROPOUT, *ACTIVATION],
    "convolutional": [*CHANNELS, *POOLS, *DROPOUT, *ACTIVATION],
    "crnn": [*CHANNELS, *POOLS, *counts("layers", "units"), *DROPOUT, *ACTIVATION],
    "fully_convolutional": [
        *CHANNELS, *POOLS, *DROPOUT, *ACTIVATION,
        ({"initialization": "zero"}, "initialization must be one of torch, glorot, got 'zero'"),
    ],
    "harmonic_cnn": [
        *counts("rate", "harmonics", "channels"), *DROPOUT, ({"n_fft": 1}, "n_fft must be at least 2, got 1"),
    ],
    "histogram_boosting": [
        *counts("iterations", "min_samples_leaf"),
        ({"learning_rate": 0}, "learning_rate must be above 0, got 0"),
        ({"learning_rate": float("inf")}, "learning_rate must be above 0, got inf"),
        ({"leaves": 1}, "leaves must be at least 2, got 1"),
        ({"l2": -1.0}, r"l2 must be at least 0, got -1\.0"),
        ({"l2": float("nan")}, "l2 must be at least 0, got nan"),
        ({"bins": 1}, "bins must be at least 2, got 1"),
        ({"bins": 256}, "bins must be at most 255, got 256"),
    ],
    "linear": [
        ({"strengths": []}, r"strengths must be a list of at least one number, got \[\]"),
        ({"strengths": [0.1, 0.0]}, r"strengths\[1\] must be above 0, got 0\.0"),
        ({"strengths": [float("inf")]}, r"strengths\[0\] must be above 0, got inf"),
    ],
    "musicnn": [
        *counts("timbre_filters", "rhythm_filters", "middle", "units"), *DROPOUT,
        ({"timbre": [0.0]}, r"timbre\[0\] must be above 0, got 0\.0"),
        ({"timbre": [0.5, 1.5]}, r"timbre must be at most 1, got \[0\.5, 1\.5\]"),
        ({"rhythm": [0]}, r"rhythm\[0\] must be at least 1, got 0"),
        ({"epsilon": 0.0}, r"epsilon must be above 0, got 0\.0"),
    ],
    "recurrent": [
        *counts("layers", "units"),
        ({"cell": "rnn"}, "cell must be one of gru, gru-paper, lstm, lstm-paper, bn-lstm, got 'rnn'"),
        ({"keep": 0.0}, r"keep must be in \(0, 1\], got 0\.0"),
        ({"keep": 1.5}, r"keep must be in \(0, 1\], got 1\.5"),
        ({"initialization": "torch"}, "initialization must be one of orthogonal, glorot, got 'torch'"),
        ({"transposed": 1}, "transposed must be true or false, got 1"),
    ],
    "sample_cnn": [*CHANNELS, *DROPOUT, ({"whole_song": "yes"}, "whole_song must be true or false, got 'yes'")],
    "short_chunk": [*counts("channels"), *DROPOUT],
}  # fmt: skip


def options(family: str) -> dict[str, inspect.Parameter]:
    takes = inspect.signature(import_module(f"earmark.models.{family}").build, eval_str=True).parameters
    assert list(takes)[:3] == ["n_tags", "frames", "dims"]
    return dict(list(takes.items())[3:])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_option_is_a_keyword_with_a_type_and_a_default_of_that_type(family: str) -> None:
    for name, option in options(family).items():
        assert option.kind is option.KEYWORD_ONLY, f"{name} is no keyword of its own"
        TypeAdapter(option.annotation).validate_python(option.default)


@pytest.mark.parametrize("family", FAMILIES)
def test_defaults_spelled_out_as_yaml_has_them_give_the_same_network(family: str) -> None:
    """Tuples become lists in params.yaml and in the file of a model."""
    spelled = {
        name: TypeAdapter(option.annotation).dump_python(option.default, mode="json")
        for name, option in options(family).items()
    }
    frames, dims = INPUTS.get(family, (120, 96))
    plain, ours = (networks.network(family, 3, frames, dims, chosen) for chosen in ({}, spelled))
    assert str(ours) == str(plain)
    assert [v.shape for v in ours.state_dict().values()] == [v.shape for v in plain.state_dict().values()]


@pytest.mark.parametrize("name", published.SYSTEMS)
def test_published_options_are_of_the_types_in_the_signature(name: str) -> None:
    system = published.get(name)
    takes = options(system.family)
    for key, value in system.options.items():
        TypeAdapter(takes[key].annotation).validate_python(value)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_option_has_a_value_that_is_refused(family: str) -> None:
    assert {name for wrong, _ in WRONG[family] for name in wrong} == set(options(family))


@pytest.mark.parametrize(
    ("family", "wrong", "message"),
    [(family, *case) for family, cases in WRONG.items() for case in cases],
    ids=str,
)
def test_an_option_out_of_its_limits_is_refused_with_name_limit_and_value(
    family: str, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        networks.network(family, 3, *INPUTS.get(family, (120, 96)), wrong)


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("recurrent", {"layers": 10**30}, "layers must be at most 1000, got 1000"),
        ("recurrent", {"units": 2**31 - 1}, "units must be at most 1000000, got 2147483647"),
        ("convolutional", {"channels": [2**40, 2]}, r"channels\[0\] must be at most 1000000"),
        ("sample_cnn", {"channels": [8] * 5000}, "channels must be a list of at most 1000 numbers, got '5000 of them'"),
    ],
)
def test_what_nobody_could_build_is_refused_before_anything_is_built(family, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        networks.network(family, 3, *INPUTS.get(family, (120, 96)), options)
