"""The recurrent cells follow the papers' equations, and the network takes any length."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, auc_after_overfit, single_thread
from numpy.typing import NDArray
from torch import nn

from earmark.models.layers.cells import BatchNormLSTM, PaperGRU, PaperLSTM, candidate_masks
from earmark.models.layers.step_norm import StepNorm
from earmark.models.recurrent import Cell, Recurrent

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)
CELLS = get_args(Cell)
Array = NDArray[np.float64]


def small(cell: Cell, **options: object) -> Recurrent:
    return Recurrent(3, 9, 7, cell=cell, layers=2, units=16, **options)  # type: ignore[arg-type]


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def equation_9(layer: PaperGRU, sequence: Array) -> Array:
    """Eq. 9 of Song et al. 2018 with one matrix per gate on [x, h], in float64: (frames, batch, inputs)."""
    input_rows = layer.input_weight.detach().numpy().reshape(3, layer.units, -1)
    state_rows = np.concatenate([layer.gate_weight.detach().numpy(), layer.candidate_weight.detach().numpy()])
    W_r, W_z, W_g = np.concatenate([input_rows, state_rows.reshape(3, layer.units, -1)], axis=2)
    b_r, b_z, b_g = layer.bias.detach().numpy().reshape(3, -1)
    h = np.zeros((sequence.shape[1], layer.units))
    states = []
    for x in sequence:
        both = np.concatenate([x, h], axis=1)
        z = sigmoid(both @ W_z.T + b_z)
        r = sigmoid(both @ W_r.T + b_r)
        g = np.tanh(np.concatenate([x, r * h], axis=1) @ W_g.T + b_g)
        h = (1 - z) * h + z * g
        states.append(h)
    return np.stack(states)


def test_paper_gru_is_equation_9() -> None:
    torch.manual_seed(0)
    model = Recurrent(5, 23, 11, cell="gru-paper", layers=3, units=13).double().eval()
    assert isinstance(model.stack, nn.Sequential)
    nn.init.normal_(model.stack[1].bias)
    features = torch.randn(4, 23, 11, dtype=torch.float64)
    states = features.numpy().transpose(1, 0, 2)
    for layer in model.stack:
        assert isinstance(layer, PaperGRU)
        states = equation_9(layer, states)
    expected = states[-1] @ model.output.weight.detach().numpy().T + model.output.bias.detach().numpy()
    np.testing.assert_allclose(model(features).detach().numpy(), expected, rtol=1e-12, atol=1e-13)


def test_paper_gru_resets_before_the_product_and_torch_after_it() -> None:
    torch.manual_seed(0)
    ours, theirs = PaperGRU(4, 6), nn.GRU(4, 6)
    with torch.no_grad():
        r, z, g = ours.input_weight.chunk(3)
        theirs.weight_ih_l0.copy_(torch.cat([r, -z, g]))  # torch's z keeps where the paper's overwrites
        r, z = ours.gate_weight.chunk(2)
        theirs.weight_hh_l0.copy_(torch.cat([r, -z, ours.candidate_weight]))
        r, z, g = ours.bias.chunk(3)
        theirs.bias_ih_l0.copy_(torch.cat([r, -z, g]))
        theirs.bias_hh_l0.zero_()
    sequence = torch.randn(3, 2, 4)
    a, b = ours(sequence), theirs(sequence)[0]
    torch.testing.assert_close(a[0], b[0])  # the first state is reset to zero either way
    assert (a[1] - b[1]).abs().max() > 1e-3


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_papers_cells_start_as_the_fused_ones_and_the_clip_is_heard_through_five_layers(
    cell: Literal["gru", "lstm"],
) -> None:
    """With torch's default start the clips' last states differ fifty times less, and little is learnt for epochs."""

    def spread(name: Cell) -> float:
        torch.manual_seed(0)
        model = Recurrent(5, 14, 40, cell=name, layers=5, units=64).eval()
        model.output = nn.Identity()
        with torch.no_grad():
            return float(model(torch.randn(64, 14, 40)).std(dim=0).mean())

    assert spread(cell) > 0.2
    papers: Cell = "gru-paper" if cell == "gru" else "lstm-paper"
    assert spread(papers) == pytest.approx(spread(cell), rel=0.2)


def limit(inputs: int, outputs: int) -> float:
    """Of Glorot's uniform distribution."""
    return float(np.sqrt(6 / (inputs + outputs)))


# What TensorFlow 1 makes of cells of 40 units on 20 inputs: the kernels of GRUCell and LSTMCell are (inputs + units,
# gates * units). Rows of each kernel here, in units, with the limit of their values.
KERNELS = {
    "gru": {"input": [(2, limit(60, 80)), (1, limit(60, 40))], "state": [(2, limit(60, 80)), (1, limit(60, 40))]},
    "lstm": {"input": [(4, limit(60, 160))], "state": [(4, limit(60, 160))]},
    "bn-lstm": {"input": [(4, limit(20, 160))], "state": [(4, limit(40, 160))]},
}


@pytest.mark.parametrize("cell", CELLS)
def test_glorot_is_how_tensorflow_starts(cell: Cell) -> None:
    torch.manual_seed(0)
    model = Recurrent(5, 9, 20, cell=cell, layers=1, units=40, initialization="glorot")
    found = {name.removeprefix("stack.").removeprefix("0."): p.detach() for name, p in model.named_parameters()}
    if cell == "gru-paper":
        found["state"] = torch.cat([found["gate_weight"], found["candidate_weight"]])
    of = {"input": ("input_weight", "weight_ih_l0"), "state": ("state", "recurrent_weight", "weight_hh_l0")}
    for name, parts in KERNELS[cell.removesuffix("-paper")].items():
        (kernel,) = (found[key] for key in of[name] if key in found)
        for rows, (_, expected) in zip(kernel.split([40 * units for units, _ in parts]), parts, strict=True):
            assert 0.98 * expected < rows.abs().max() <= expected
            assert rows.std().item() == pytest.approx(expected / np.sqrt(3), rel=0.05)
    assert 0.9 * limit(40, 5) < model.output.weight.abs().max() <= limit(40, 5)
    assert (model.output.bias == 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_biases_start_as_tensorflows_with_either_initialization(cell: Cell) -> None:
    starts = [
        {name: p for name, p in small(cell, initialization=name_of).named_parameters() if "bias" in name}
        for name_of in ("orthogonal", "glorot")
    ]
    stack = {name: p for name, p in starts[0].items() if name.startswith("stack")}
    assert stack
    for name, bias in stack.items():
        assert torch.equal(bias, starts[1][name])
        if name.endswith(("0.bias", "bias_ih_l0")):
            assert bias.unique().tolist() == ([-1.0, 0.0, 1.0] if cell == "gru-paper" else [0.0, 1.0])


def test_paper_lstm_is_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = PaperLSTM(4, 6), nn.LSTM(4, 6)

    def reordered(rows: torch.Tensor) -> torch.Tensor:
        i, f, o, g = rows.chunk(4)
        return torch.cat([i, f, g, o])

    with torch.no_grad():
        theirs.weight_ih_l0.copy_(reordered(ours.input_weight))
        theirs.weight_hh_l0.copy_(reordered(ours.recurrent_weight))
        theirs.bias_ih_l0.copy_(reordered(ours.bias))
        theirs.bias_hh_l0.zero_()
    sequence = torch.randn(12, 3, 4)
    torch.testing.assert_close(ours(sequence), theirs(sequence)[0], rtol=1e-5, atol=1e-6)


def batch_norm(x: Array, gamma: Array) -> Array:
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) * gamma


def test_batch_norm_lstm_is_equations_6_to_8_in_training() -> None:
    torch.manual_seed(0)
    layer = BatchNormLSTM(5, 6, frames=10).double().train()
    for norm in (layer.input_norm, layer.recurrent_norm, layer.memory_norm):
        nn.init.uniform_(norm.weight, 0.1, 1.0)
    assert layer.memory_norm.bias is not None
    nn.init.normal_(layer.memory_norm.bias)
    sequence = torch.randn(10, 8, 5, dtype=torch.float64)
    parameters = {name: p.detach().numpy() for name, p in layer.named_parameters()}
    h = c = np.zeros((8, 6))
    states = []
    for x in sequence.numpy():
        gates = batch_norm(h @ parameters["recurrent_weight"].T, parameters["recurrent_norm.weight"])
        gates = gates + batch_norm(x @ parameters["input_weight"].T, parameters["input_norm.weight"])
        i, f, o, g = np.split(gates + parameters["bias"], 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        normalized = batch_norm(c, parameters["memory_norm.weight"]) + parameters["memory_norm.bias"]
        h = sigmoid(o) * np.tanh(normalized)
        states.append(h)
    np.testing.assert_allclose(layer(sequence).detach().numpy(), np.stack(states), rtol=1e-8, atol=1e-10)


def test_step_norm_keeps_the_statistics_of_every_time_step() -> None:
    torch.manual_seed(0)
    norm = StepNorm(3, 4, shifted=True)
    offsets = torch.tensor([0.0, 10.0, -5.0, 2.0]).view(4, 1, 1)
    for _ in range(5):
        norm.all_steps(torch.randn(4, 64, 3) * 2 + offsets)
    torch.testing.assert_close(norm.running_mean, offsets.view(4, 1).expand(4, 3), atol=0.5, rtol=0)
    torch.testing.assert_close(norm.running_var, torch.full((4, 3), 4.0), atol=1.5, rtol=0)
    assert (norm.weight == 0.1).all()


def test_step_norm_is_the_same_at_once_and_step_by_step() -> None:
    torch.manual_seed(0)
    at_once, stepwise = StepNorm(3, 6, shifted=True), StepNorm(3, 6, shifted=True)
    for frames in (6, 4, 8):  # the longest exceeds the steps whose statistics are kept
        sequence = torch.randn(frames, 5, 3)
        step = stepwise.stepper(frames, 5)
        expected = torch.stack([step(x, t) for t, x in enumerate(sequence)])
        torch.testing.assert_close(at_once.all_steps(sequence), expected)
    for name, value in at_once.state_dict().items():
        torch.testing.assert_close(stepwise.state_dict()[name], value)
    at_once.eval()
    stepwise.eval()
    sequence = torch.randn(9, 2, 3)
    step = stepwise.stepper(9, 2)
    torch.testing.assert_close(at_once.all_steps(sequence), torch.stack([step(x, t) for t, x in enumerate(sequence)]))


def test_step_norm_past_the_steps_seen_uses_the_last_one_seen() -> None:
    torch.manual_seed(0)
    norm = StepNorm(2, 10, shifted=False)
    norm.all_steps(torch.randn(4, 32, 2) + 3.0)  # trained on 4 of 10 steps
    norm.eval()
    x = torch.randn(5, 2)
    normalized = norm.all_steps(x.expand(20, 5, 2))
    assert not torch.allclose(normalized[2], normalized[3])
    for t in range(4, 20):
        torch.testing.assert_close(normalized[t], normalized[3])


def test_batch_norm_lstm_evaluates_at_lengths_unseen_in_training() -> None:
    torch.manual_seed(0)
    layer = BatchNormLSTM(5, 6, frames=8, keep=0.75).train()
    sequence = torch.randn(30, 16, 5)
    with torch.no_grad():
        for _ in range(12):
            layer(sequence[:8])
        layer.eval()
        long = layer(sequence)
        torch.testing.assert_close(layer(sequence[:5]), long[:5])  # no step depends on the length
        torch.testing.assert_close(layer(sequence[:, :1]), long[:, :1])  # nor on the other clips
    assert torch.isfinite(long).all()
    assert long[20:].std() < 3 * long[4:8].std()


def test_batch_norm_lstm_needs_two_clips_in_training() -> None:
    with pytest.raises(ValueError, match="batch must be at least 2 in training, got 1"):
        small("bn-lstm").train()(torch.randn(1, 9, 7))


def test_recurrent_dropout_keeps_three_quarters_and_the_mean() -> None:
    torch.manual_seed(0)
    masks = candidate_masks(torch.empty(50, 20, 4), units=30, keep=0.75)
    assert masks.shape == (50, 20, 30)
    assert set(masks.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert masks.mean().item() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("cell", ["gru-paper", "lstm-paper", "bn-lstm"])
def test_recurrent_dropout_loses_no_memory(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    # with every candidate dropped nothing is ever written: states stay at zero instead of being erased to it
    monkeypatch.setattr(
        "earmark.models.layers.cells.candidate_masks", lambda gates, *_: torch.zeros(*gates.shape[:2], 16)
    )
    model = small(cell).train()
    assert torch.equal(model(torch.randn(4, 9, 7)), model.output.bias.expand(4, 3))


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_acts_in_training_only(cell: Cell) -> None:
    torch.manual_seed(0)
    model, features = small(cell), torch.randn(4, 9, 7)
    assert not torch.equal(model.train()(features), model(features))
    assert torch.equal(model.eval()(features), model(features))


@pytest.mark.parametrize("cell", CELLS)
def test_any_length_and_a_single_clip(cell: Cell) -> None:
    assert_scores(small(cell), (1, 1, 7), (3, 9, 7), (2, 23, 7), n_tags=3)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_reach_every_parameter(cell: Cell) -> None:
    assert_gradients(small(cell), (6, 9, 7), n_tags=3)


@pytest.mark.parametrize("cell", CELLS)
def test_saved_weights_give_the_same_scores(cell: Cell) -> None:
    assert_reloads(lambda: small(cell), (4, 9, 7))


@pytest.mark.parametrize("cell", CELLS)
def test_overfits_eight_clips(cell: Cell) -> None:
    torch.manual_seed(1)
    assert auc_after_overfit(small(cell), (8, 9, 7), steps=60, rate=0.03) == 1.0


def test_transposed_reads_bands_as_time() -> None:
    torch.manual_seed(0)
    model = Recurrent(3, 9, 7, layers=2, units=16, transposed=True).eval()
    straight = Recurrent(3, 7, 9, layers=2, units=16).eval()
    straight.load_state_dict(model.state_dict())
    features = torch.randn(2, 9, 7)
    torch.testing.assert_close(model(features), straight(features.transpose(1, 2)))


def test_fused_layers_have_one_bias_per_gate_and_torchs_count_when_frozen_ones_are_added() -> None:
    with torch.device("meta"):
        model = Recurrent(50, 114, 433)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 7_776_306
    assert sum(p.numel() for p in model.parameters()) == 7_783_986


def test_frozen_biases_stay_zero() -> None:
    model = small("gru")
    model(torch.randn(4, 9, 7)).sum().backward()
    torch.optim.Adam(model.parameters(), lr=0.1, weight_decay=0.1).step()
    frozen = [p for p in model.parameters() if not p.requires_grad]
    assert len(frozen) == 2
    assert all((p == 0).all() for p in frozen)


def test_an_unknown_cell_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cell must be one of gru, gru-paper, .*, got 'rnn'"):
        small("rnn")  # type: ignore[arg-type]


def test_a_step_norm_asks_no_tensor_for_its_value_but_once_after_it_was_loaded(monkeypatch):
    asked = []
    plain = torch.Tensor.__int__
    monkeypatch.setattr(torch.Tensor, "__int__", lambda tensor: asked.append(1) or plain(tensor))
    norm, other = StepNorm(2, 10, shifted=False), StepNorm(2, 10, shifted=False)
    sequence = torch.randn(10, 4, 2)
    for _ in range(3):
        norm.train().all_steps(sequence)
        norm.eval().all_steps(sequence)
    assert len(asked) == 1
    other.load_state_dict(norm.state_dict())
    assert torch.equal(other.train().all_steps(sequence), norm.train().all_steps(sequence))
    assert torch.equal(other.running_mean, norm.running_mean)  # the fourth batch of both weighs a quarter
    assert len(asked) == 2
    norm.load_state_dict(StepNorm(2, 10, shifted=False).state_dict())
    norm.all_steps(sequence)
    assert torch.allclose(norm.running_mean, sequence.mean(1))  # the first batch again, which weighs all
