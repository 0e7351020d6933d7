"""Windows, folding and the modulus against their definitions, and the buffers and threads of the transforms."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from earmark.representations.buffers import BufferPool, Buffers, over_chunks
from earmark.representations.spectrum import (
    fold,
    good_length,
    interleave,
    long_rfft,
    modulus,
    rfft,
    window,
)


def test_good_lengths_are_smooth_and_prefer_powers_of_two():
    assert good_length(464_000 + 39_732, 4096) == 2**19
    assert good_length(300_000, 250) == 300_000
    assert good_length(1, 4096) == 4096
    assert good_length(7 * 64 - 1, 64) == 8 * 64


@given(st.integers(1, 5000), st.sampled_from([1, 8, 64]))
def test_good_lengths_suffice(minimum, multiple):
    found = good_length(minimum, multiple)
    assert found >= minimum
    assert found % multiple == 0
    assert found <= max(2 * minimum, multiple)


@pytest.mark.parametrize("M", [16, 15])
def test_window_holds_the_spectrum_at_any_bins(M):
    x = torch.randn(3, M, dtype=torch.float64)
    full = torch.fft.fft(x)
    for low, high in [(0, 4), (-3, 5), (-M, M), (-2 * M - 3, 2 * M + 3), (M // 2, M + 2)]:
        out = torch.empty(3, high - low, dtype=torch.complex128)
        window(torch.fft.rfft(x), M, low, high, out)
        torch.testing.assert_close(out, full[:, torch.arange(low, high) % M])


@pytest.mark.parametrize("length", [3, 8, 13, 16, 29, 40])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_fold_sums_the_products_modulo_the_output_length(length, kind):
    L, at = 8, 2
    spectrum = torch.randn(2, 3, 64, dtype=torch.complex128)
    values = np.random.default_rng(0).standard_normal(length)
    weights = interleave(values, torch.float64) if kind == "real" else torch.tensor(values * 1j)
    expected = np.zeros((2, 3, L), dtype=complex)
    for i in range(length):
        expected[..., i % L] += spectrum[..., at + i].numpy() * values[i] * (1 if kind == "real" else 1j)
    out = torch.full((2, 3, L), torch.nan, dtype=torch.complex128)
    np.testing.assert_allclose(fold(spectrum, at, weights, out).numpy(), expected, atol=1e-12)


@pytest.mark.usefixtures("way")
def test_modulus_is_the_modulus():
    z = torch.tensor([[3 + 4j, 0j, -1e-3j]])
    assert modulus(z, torch.empty(1, 3)).tolist() == [[5.0, 0.0, pytest.approx(1e-3)]]


@pytest.mark.parametrize("transform", [rfft, long_rfft])
def test_a_signal_alone_transforms_as_one_of_many(transform):
    x = torch.randn(5, 2**16)
    assert torch.equal(transform(x)[:1], transform(x[:1]))
    torch.testing.assert_close(transform(x), torch.fft.rfft(x), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_chunks_cover_every_clip_once_and_threads_are_restored(threads):
    before = torch.get_num_threads()
    for n in (0, 1, 2, 7, 16):
        seen: list[int] = []
        over_chunks(lambda first, last: seen.extend(range(first, last)), n, 4, threads)  # noqa: B023
        assert sorted(seen) == list(range(n))
    assert torch.get_num_threads() == before
    torch.set_num_threads(before)


def test_an_error_in_a_chunk_reaches_the_caller():
    def fail(first: int, last: int) -> None:
        raise RuntimeError(f"{first} {last}")

    with pytest.raises(RuntimeError, match="0 1"):
        over_chunks(fail, 2, 1, 2)


def test_buffers_keep_memory_but_not_in_copies():
    pool, like = BufferPool(), torch.zeros(1)
    with pool.lend(like) as first:
        held = first.real("u", 4, 5)
        assert held.shape == (4, 5)
        assert first.complex("u", 2).data_ptr() == held.data_ptr()
    with pool.lend(like) as second, pool.lend(like) as other:
        assert second is first
        assert other is not first
    with pool.lend(like.double()) as wide:
        assert wide.real("u", 1).dtype == torch.float64
    assert not pickle.loads(pickle.dumps(pool))._free
    assert not copy.deepcopy(pool)._free
    assert isinstance(second, Buffers)
