"""Scattering against ScatNet's own output, against kymatio, and against what any scattering transform must do."""

from __future__ import annotations

import copy
import importlib.util
import pickle

import numpy as np
import pytest
import reference_scattering
import soundfile
import torch
from helpers import ROOT
from helpers.transforms import scattering
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.bench import peers
from earmark.representations import build
from earmark.representations.scattering.transform import RENORM_BOUND, log, renorm

GOLDEN = ROOT / "tests" / "golden"
SHARED = ROOT.parent / "shared" / "golden"
PER_ORDER = {"exact": 1e-6, "fast": 5e-4}
PER_PATH = {"exact": 1e-5, "fast": 1e-3}


def closed_form():
    spec = importlib.util.spec_from_file_location("make_signal", GOLDEN / "make_signal.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.signal()


@pytest.fixture(scope="module", params=["signal", "mtat_37386"])
def golden(request):
    """(wave (1, 464000), the golden arrays)."""
    if request.param == "signal":
        wave = closed_form()
    else:
        mp3 = SHARED / "mtat_37386.mp3"
        if not mp3.exists():
            pytest.skip(f"the clip is music and not distributed with the project: no {mp3}")
        wave = soundfile.read(mp3, dtype="float32")[0][:464_000]
    return torch.tensor(wave, dtype=torch.float32)[None], np.load(GOLDEN / f"scatnet_{request.param}.npz")


@pytest.fixture(scope="module", params=["exact", "fast"])
def full(request):
    return request.param, scattering(464_000, padding=request.param)


def relative(S, G, axis=None):
    return np.linalg.norm(S - G, axis=axis) / np.linalg.norm(G, axis=axis)


@pytest.mark.usefixtures("way")
def test_scatnets_golden_output(golden, full):
    (wave, gold), (padding, s) = golden, full
    S = s(wave)
    assert S.shape == (1, 433, 114)
    G, S0 = gold["S"], S[0].numpy()
    for order in range(3):
        rows = s.paths.order == order
        assert relative(S0[rows], G[rows]) <= PER_ORDER[padding]
    norm = np.linalg.norm(G, axis=1)
    carries = norm > 1e-3 * norm.max()
    assert relative(S0, G, axis=1)[carries].max() <= PER_PATH[padding]


@pytest.mark.usefixtures("way")
def test_scatnets_golden_normalisations(golden, full):
    """From ScatNet's S to ScatNet's renormalised S and its logarithm, and from our own S within its error."""
    (wave, gold), (padding, s) = golden, full
    S = torch.tensor(gold["S"], dtype=torch.float64)
    R = renorm(S, s.paths, s.epsilon)
    np.testing.assert_allclose(R.numpy(), gold["renorm"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log(R, s.epsilon).numpy(), gold["log"], rtol=1e-5, atol=2e-4)
    ours = renorm(s(wave), s.paths, s.epsilon)[0].numpy()
    assert relative(ours, gold["renorm"]) <= {"exact": 1e-4, "fast": 1e-3}[padding]
    logs = log(torch.tensor(ours), s.epsilon).numpy()
    assert np.abs(logs - gold["log"]).mean() <= {"exact": 1e-5, "fast": 1e-3}[padding]


def test_the_adaptor_transposes_and_normalises():
    wave = 0.1 * torch.randn(2, 30_000)
    s = scattering(30_000, T=1024)
    S = s(wave)
    steps = {
        "none": S,
        "renorm": renorm(S, s.paths, s.epsilon),
        "log": log(S, s.epsilon),
        "renorm-log": log(renorm(S, s.paths, s.epsilon), s.epsilon),
    }
    for name, expected in steps.items():
        features = build("scattering", rate=16_000, n_samples=30_000, T=1024, normalization=name)
        out = features(wave)
        assert out.is_contiguous()
        assert out.shape == (2, features.n_frames, features.n_dims)
        torch.testing.assert_close(out, expected.transpose(1, 2))
    assert torch.equal(out, build("scattering", rate=16_000, n_samples=30_000, T=1024, normalization=name)(wave))
    assert features.axes["seconds_per_frame"] == 512 / 16_000
    for axis in ("hz", "order", "xi1", "bw1", "xi2", "bw2"):
        assert features.axes[axis].shape == (features.n_dims,)
    assert np.isfinite(features.axes["hz"]).all()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("n", "J", "Q", "T", "oversampling"),
    [(20_000, 8, (8, 1), 512, 1), (9_000, 7, (8, 1), 128, 0), (7_000, 7, (4, 2), 300, 1), (9_000, 7, (1, 1), 256, 2)],
)
def test_kymatio_path_by_path(n, J, Q, T, oversampling):
    options = {"J": J, "Q": Q, "T": T, "oversampling": oversampling}
    peer = peers.kymatio_scattering(n, **options)
    x = torch.randn(1, n, generator=torch.Generator().manual_seed(1))
    theirs = peer(x)[0].numpy() * peers.kymatio_gains(peer)[:, None]
    s = scattering(n, bank="kymatio", padding="exact", **options)
    ours = s(x)[0].numpy()
    assert ours.shape == theirs.shape
    assert (s.paths.order == peer.meta()["order"]).all()
    assert relative(ours, theirs, axis=1).max() < 2e-6
    fast = scattering(n, bank="kymatio", padding="fast", **options)
    assert fast.offset % 2 == 0
    middle = fast(x)[0].numpy().mean(axis=1)
    np.testing.assert_allclose(middle[1:], theirs.mean(axis=1)[1:], rtol=0.02)


@pytest.mark.parametrize("bank", ["scatnet", "kymatio"])
def test_a_unit_cosine_has_the_same_first_order_in_every_octave(bank):
    """What kymatio's own amplitudes fail: 0.50, 0.50, 0.25, 0.12, 0.06."""
    n, T = 2**15, 2048
    s = scattering(n, T=T, bank=bank, padding="fast", max_order=1, rate=1.0, oversampling=1)
    first = np.flatnonzero(s.paths.order == 1)
    peaks = []
    for row in first[4:44:8]:
        x = torch.cos(2 * torch.pi * s.paths.xi1[row] * torch.arange(n, dtype=torch.float64)).float()[None]
        peaks.append(s(x)[0, row].median().item())
    np.testing.assert_allclose(peaks, peaks[0], rtol=0.03)
    if bank == "kymatio":
        np.testing.assert_allclose(peaks, 0.5, rtol=0.1)


def test_a_pure_tone_peaks_in_its_own_row():
    s = scattering(40_000, T=2048)
    first = np.flatnonzero(s.paths.order == 1)
    t = torch.arange(40_000) / 16_000
    for row in first[2:40:5]:
        S = s(torch.sin(2 * torch.pi * float(s.paths.xi1[row]) * t)[None])[0]
        assert first[S[first].mean(dim=1).argmax()] == row


def test_order_one_alone_equals_the_first_rows_of_both():
    wave = torch.randn(2, 20_000)
    both, one = scattering(20_000, T=1024), scattering(20_000, T=1024, max_order=1)
    S = both(wave)[:, both.paths.order < 2]
    torch.testing.assert_close(one(wave), S, rtol=1e-4, atol=1e-4)
    assert one.n_paths == S.shape[1]
    assert torch.equal(renorm(S, one.paths, one.epsilon), S)


@pytest.mark.parametrize(
    ("n", "T", "Q", "oversampling"),
    [
        (4096, 4096, (1, 1), 0),
        (9001, 500, (8, 1), 1),
        (5000, 3000, (2, 2), 2),
        (3001, 64, (8, 1), 1),
        (8192, 256, (16, 1), 0),
    ],
)
def test_any_length_and_scale_has_its_shape_and_agrees_with_exact_padding(n, T, Q, oversampling):
    wave = torch.randn(1, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fast, exact = (
        scattering(n, T=T, Q=Q, oversampling=oversampling, padding=p, dtype=torch.float64) for p in ("fast", "exact")
    )
    S, G = fast(wave)[0].numpy(), exact(wave)[0].numpy()
    assert S.shape == G.shape == (fast.n_paths, 1 + (n - 1) // fast.hop)
    assert relative(S, G) < 1e-2


def test_float64_is_more_precise_than_float32():
    x = torch.randn(1, 20_000, dtype=torch.float64)
    wide = scattering(20_000, T=1024, dtype=torch.float64)
    narrow = scattering(20_000, T=1024)
    assert wide(x).dtype == torch.float64
    assert relative(narrow(x.float()).numpy(), wide(x).numpy()) < 1e-6


small = scattering(8192, T=1024, padding="exact", dtype=torch.float64)
seeds = st.integers(0, 2**31 - 1)


def noise(seed):
    return torch.randn(1, small.n_samples, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=10, deadline=None)
@given(seeds, st.floats(0.01, 100))
def test_scattering_is_homogeneous_and_its_order_zero_linear(seed, gain):
    x, y = noise(seed), noise(seed + 1)
    torch.testing.assert_close(small(gain * x), gain * small(x))
    torch.testing.assert_close(small(gain * x + y)[:, 0], gain * small(x)[:, 0] + small(y)[:, 0])


@settings(max_examples=10, deadline=None)
@given(seeds, st.integers(1, 3))
def test_a_shift_by_whole_frames_shifts_the_frames(seed, frames):
    x = noise(seed) * torch.hann_window(small.n_samples, dtype=torch.float64) ** 4
    x[:, :2048] = x[:, -2048:] = 0
    S = small(x)
    moved = small(torch.roll(x, frames * small.hop, dims=1))
    torch.testing.assert_close(moved[..., 3 + frames : -3], S[..., 3 : -3 - frames], rtol=0, atol=2e-3 * S.max().item())


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_energy_does_not_grow(seed):
    """Frames are `hop` apart and carry sqrt(hop) of gain, so that their squares sum to an energy."""
    x = noise(seed)
    S = small(x)
    assert S.square().sum() <= 1.05 * x.square().sum() * (small.n_frames * small.hop / small.n_samples)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("value", [0.0, 1.0, -0.5])
def test_silence_and_constants_are_finite(value):
    s = scattering(20_000, T=1024)
    S = s(torch.full((1, 20_000), value))
    assert torch.isfinite(S).all()
    assert torch.isfinite(log(renorm(S, s.paths, s.epsilon), s.epsilon)).all()
    np.testing.assert_allclose(S[0, 0].numpy(), value * s.hop**0.5, rtol=1e-5)
    assert S[0, 1:].abs().max() < 1e-4


def test_a_clip_gives_the_same_bytes_alone_and_in_a_batch_on_any_threads():
    x = torch.randn(9, 30_000)
    s = scattering(30_000, T=2048)
    S = s(x)
    assert torch.equal(S[:1], s(x[:1]))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert torch.equal(s(x), S)
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_equals_cpu():
    x, s = torch.randn(4, 464_000), scattering(464_000)
    S = s(x)
    assert relative(s.cuda()(x.cuda()).cpu().numpy(), S.numpy()) < 1e-5


def test_copies_and_pickles_compute_the_same():
    x, s = torch.randn(2, 20_000), scattering(20_000, T=1024)
    S = s(x)
    assert torch.equal(copy.deepcopy(s)(x), S)
    assert torch.equal(pickle.loads(pickle.dumps(s))(x), S)
    assert not s.state_dict()


def test_broken_input_names_the_clip():
    s = scattering(20_000, T=1024)
    x = torch.zeros(3, 20_000)
    x[1, 17] = torch.nan
    with pytest.raises(ValueError, match="clip 1 of the batch"):
        s(x)
    with pytest.raises(ValueError, match=r"must be \(batch, 20000\), got \(3, 100\)"):
        s(x[:, :100])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"T": 30_000}, r"scattering.T must be at most n_samples=20000, got 30000"),
        ({"T": 8}, r"scattering.T must be at least 32 at Q=\(8, 1\), got 8"),
        ({"Q": (0, 1)}, r"scattering.Q must be at least 1"),
        ({"oversampling": -1}, r"scattering.oversampling must be in \[0, 16\], got -1"),
        ({"bank": "gammatone"}, "scattering.bank must be scatnet or kymatio, got 'gammatone'"),
        ({"padding": "zero"}, "scattering.padding must be fast or exact"),
        ({"max_order": 3}, "scattering.max_order must be 1 or 2, got 3"),
        ({"J": 4}, "scattering.J must be left out"),
        ({"normalization": "db"}, "scattering.normalization must be one of"),
        ({"hops": 4}, "scattering: got an unexpected keyword argument 'hops'"),
    ],
)
def test_options_out_of_their_limits(options, message):
    with pytest.raises(ValueError, match=message):
        build("scattering", rate=16_000, n_samples=20_000, **options)


def test_filters_are_kept_on_their_support_and_a_clip_takes_little_memory():
    s = scattering(464_000)
    dense = s.total * (76 + 13)
    assert sum(buffer.numel() for buffer in s.buffers()) < dense / 4
    assert s.bytes_per_clip < 64e6


def burst(kind):
    """Two seconds that hold little or nothing for most of their length."""
    n = 32_000
    hiss = 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(5))
    t = torch.arange(n) / 16_000
    made = {
        "silence": torch.zeros(n),
        "noise, then silence": hiss * (t < 1),
        "fade to silence": hiss * torch.exp(-20 * t),
        "a burst of a tone": torch.sin(2 * torch.pi * 1000 * t) * ((t > 0.6) & (t < 0.8)),
        "a burst of noise": 5 * hiss * ((t > 0.6) & (t < 0.62)),
        "a click": (t == 0.75).float(),
        "a steady tone": torch.sin(2 * torch.pi * 1000 * t),
        "very quiet noise": 1e-6 * hiss,
        "the last bit": (hiss.sign() * (hiss.abs() > 0.25)) / 32768,
        "DC": torch.ones(n),
        "DC and a very quiet noise": 0.5 + 1e-7 * hiss,
    }
    return made[kind][None]


SPARSE = [
    *("silence", "noise, then silence", "fade to silence", "a burst of a tone", "a burst of noise", "a click"),
    *("a steady tone", "very quiet noise", "the last bit", "DC", "DC and a very quiet noise"),
]


@pytest.fixture(scope="module", params=["scatnet", "kymatio"])
def short(request):
    return scattering(32_000, T=1024, bank=request.param)


@pytest.mark.parametrize("kind", SPARSE)
def test_renormalised_coefficients_are_bounded_where_there_is_next_to_nothing(short, kind):
    S = short(burst(kind))
    second = short.paths.order == 2
    R = renorm(S, short.paths, short.epsilon)
    assert torch.isfinite(R).all()
    assert torch.isfinite(log(R, short.epsilon)).all()
    assert torch.equal(R[:, ~second], S[:, ~second])
    assert R[:, second].min() >= 0
    assert R[:, second].max() <= RENORM_BOUND * (1 + 1e-6)


@pytest.mark.parametrize("kind", ["silence", "very quiet noise", "DC", "DC and a very quiet noise"])
def test_what_lies_below_the_noise_floor_renormalises_to_nothing(short, kind):
    R = renorm(short(burst(kind)), short.paths, short.epsilon)
    assert R[:, short.paths.order == 2].max() <= 0.1


def test_in_the_silence_after_music_renormalised_coefficients_vanish_and_in_the_music_they_are_the_quotient(short):
    S = short(burst("noise, then silence"))
    second = np.flatnonzero(short.paths.order == 2)
    R = renorm(S, short.paths, short.epsilon)[0, second]
    middle, late = short.n_frames // 4, 3 * short.n_frames // 4
    assert R[:, late].max() <= 0.5
    assert R[:, late].median() <= 0.01
    first = {xi: row for row, xi in enumerate(short.paths.xi1) if short.paths.order[row] == 1}
    parents = [first[xi] for xi in short.paths.xi1[second]]
    assert torch.equal(R[:, middle], S[0, second, middle] / (S[0, parents, middle] + short.epsilon))
    assert R[:, middle].max() <= 1.31  # the l1 norm of ScatNet's second wavelets: what a steady sound cannot exceed


def eq4(S, order, xi1, epsilon):
    """Eq. 4 of Song et al. 2018 coefficient by coefficient: S2 over S1 of the same first wavelet, S0 and S1 as is.

    S: (paths, frames). What is negative counts as 0, and S2 as RENORM_BOUND S1 at most.
    """
    R = np.array(S, np.float64)
    first = {xi1[row]: row for row in range(len(S)) if order[row] == 1}  # a centre has one wavelet
    for row in range(len(S)):
        if order[row] == 2:
            for frame in range(S.shape[1]):
                S1 = max(S[first[xi1[row]], frame], 0.0)
                R[row, frame] = min(max(S[row, frame], 0.0), RENORM_BOUND * S1) / (S1 + epsilon)
    return R


@pytest.mark.usefixtures("way")
def test_songs_normalisation_is_their_eq_4_without_a_logarithm():
    """Against the equations of scattering in float64 with full filters, normalised in a loop."""
    n, T, hop = 2**13, 512, 256
    x = np.random.default_rng(3).standard_normal(n) * np.hanning(n) ** 2
    S = reference_scattering.scattering(x, (8, 1), T, hop)
    keys = sorted(S, key=lambda key: (len(key), key))
    features = build("scattering", rate=16_000, n_samples=n, T=T, oversampling=5, normalization="song")
    assert features.transform.hop == 16
    ours = features(torch.tensor(x, dtype=torch.float32)[None])[0].numpy()[:: hop // 16].T
    scale = 16**0.5  # ScatNet's, on all but the quotient
    rows = scale * np.array([S[key] for key in keys])
    expected = eq4(rows, features.axes["order"], features.axes["xi1"], scale * 2**-20)
    heard = slice(4, -4)  # beyond, x has faded, and the quotient is one of next to nothing
    for order in range(3):
        rows = features.axes["order"] == order
        assert relative(ours[rows, heard], expected[rows, heard]) < 2e-3


@pytest.fixture(scope="module", params=["scatnet", "kymatio"])
def songs(request):
    return build("scattering", rate=16_000, n_samples=32_000, T=1024, bank=request.param, normalization="song")


@pytest.mark.parametrize("kind", SPARSE)
def test_songs_normalisation_of_next_to_nothing_is_finite_and_eq_4_with_its_guard(songs, kind):
    R, S = songs(burst(kind))[0].T, songs.transform(burst(kind))[0]
    assert torch.isfinite(R).all()
    expected = eq4(S.numpy(), songs.axes["order"], songs.axes["xi1"], songs.transform.epsilon)
    np.testing.assert_allclose(R.numpy(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("options", "orders"),
    [
        ({"normalization": "song"}, {0, 1}),
        ({"normalization": "song", "standardize": [0, 1, 2]}, {0, 1, 2}),
        ({"normalization": "song", "max_order": 1}, {0, 1}),
        ({"normalization": "log", "standardize": (2,)}, {2}),
        ({"standardize": []}, set()),
        ({"normalization": "renorm"}, {0, 1, 2}),
        ({}, {0, 1, 2}),
    ],
)
def test_it_says_which_dims_are_standardised(options, orders):
    axes = build("scattering", rate=16_000, n_samples=20_000, T=1024, **options).axes
    there = set(axes["order"].tolist())
    assert ("standardized" in axes) == (not there <= orders)
    standardized = axes.get("standardized", np.ones(len(axes["order"]), bool))
    assert standardized.dtype == bool
    assert set(axes["order"][standardized].tolist()) == orders & there
    assert set(axes["order"][~standardized].tolist()) == there - orders


def test_the_orders_to_standardise_must_be_there():
    with pytest.raises(
        ValueError, match=r"scattering\.standardize must hold orders from 0 to max_order=1, got \[0, 2\]"
    ):
        build("scattering", rate=16_000, n_samples=20_000, T=1024, max_order=1, standardize=[0, 2])
