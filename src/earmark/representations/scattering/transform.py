"""The scattering transform of order two, as ScatNet or kymatio defines it, for batches of clips.

    S0 = x * phi,   S1[k] = |x * psi1_k| * phi,   S2[k, j] = ||x * psi1_k| * psi2_j| * phi

Anden & Mallat, "Deep Scattering Spectrum", IEEE Trans. Signal Processing 62(16), 2014. Song et al. 2018 feed
the 433 x 114 coefficients of a 29 s clip (T = 8192, Q = (8, 1), oversampling 1, 16 kHz) to recurrent networks.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from earmark.representations.base import Rare, Representation, check_wave, require
from earmark.representations.buffers import BufferPool, Buffers, over_chunks, suits_cpu
from earmark.representations.scattering.filters import Filters
from earmark.representations.scattering.layers import FilterGroup, LowPasses, Mirror, reach
from earmark.representations.scattering.plan import KymatioPlan, Paths, Plan, ScatNetPlan
from earmark.representations.spectrum import long_rfft, window

EPSILON = 2.0**-20  # of the true average; ScatNet's coefficients are 2^(log2(hop) / 2) times it
RENORM_BOUND = 24.0  # of S2 / S1; music reaches 22 just before or after silence
NORMALIZATIONS = ("none", "renorm", "log", "renorm-log", "song")
FINEST = 16  # steps of oversampling: frames are then 2^16 times as many
NARROWEST = 256  # wavelets per octave
SONG_ORDERS = (0, 1)  # those that Song et al. 2018 bring to zero mean and unit variance
TILE = 2**19  # complex samples that one operator processes on a CPU: the caches hold them
CHUNK = 8  # clips that one CPU thread takes at a time


class Scattering(nn.Module):
    """The scattering transform.

    n_samples: samples per clip. T: averaging time in samples. Q: wavelets per octave of both orders.
    oversampling: every signal keeps 2^oversampling times the critical number of samples.
    bank: "scatnet", or "kymatio" (then J, log2(T) unless given, sets the widest wavelet: 2^J).
    padding: "exact" pads as the toolbox does, "fast" to the next good FFT length past the filters.
    max_order: 1 or 2. rate: Hz, for `paths` only. dtype: of the filters, the input and the output.

    Attributes:
        paths: one row per coefficient, in the order of the output's rows: order, xi1, bw1, xi2, bw2 (Hz; NaN
            where the order has none); bandwidths are ScatNet's (pi / 2) sigma0 / s for a time width s.
        n_paths, n_frames, hop: frame t is centred on sample `offset` + t * hop; offset is 0 but for kymatio's padding.
        epsilon: the constant of `renorm` and `log` at this transform's scale.
        bytes_per_clip: estimate of the memory in flight per clip.

    """

    rows: Tensor

    def __init__(
        self,
        n_samples: int,
        *,
        T: int,
        Q: tuple[int, int],
        oversampling: int,
        bank: str,
        padding: str,
        max_order: int,
        J: int | None,
        rate: float,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        Q = (int(Q[0]), int(Q[1]))
        validate(n_samples, T, Q, oversampling, bank, padding, max_order, J)
        plan: Plan
        if bank == "scatnet":
            plan = ScatNetPlan(n_samples, Q, T, oversampling, padding == "exact")
        else:
            J = math.floor(math.log2(T)) if J is None else J
            plan = KymatioPlan(n_samples, Q, J, T, oversampling, padding == "exact")
        self.n_samples, self.dtype, self.hop, self.n_frames = n_samples, dtype, plan.hop, plan.n_frames
        self.total, self.offset = plan.total, plan.first * plan.hop - plan.lead
        self.epsilon = EPSILON * plan.gain(plan.last_resolution) * 2.0**plan.last_resolution
        self.pool = BufferPool()
        self._build(plan, max_order, rate)

    def _build(self, plan: Plan, order: int, rate: float) -> None:
        rows, keys = plan.paths(rate)
        kept = np.flatnonzero(rows.order <= order)
        self.paths: Paths = rows[kept].view(np.recarray)
        keys = [keys[i] for i in kept]
        self.n_paths = len(keys)
        self.mirror = Mirror(plan.extension(0))

        filters = Filters(plan)
        phis = LowPasses(filters, self.dtype)
        self.phi0 = phis.build(plan.phi0, 0)
        self.groups = [FilterGroup(filters, ks, order, phis, self.dtype) for ks in plan.groups()]
        self.moved = nn.ModuleList(self.groups)  # what `.to` moves
        computed: list[tuple[int, ...]] = [(), *(key for group in self.groups for key in group.keys)]
        place = {key: row for row, key in enumerate(computed)}
        self.register_buffer("rows", torch.tensor([place[key] for key in keys]), persistent=False)
        self.low = min(0, *(min(group.starts) for group in self.groups))
        self.high = max(0, *(max(group.starts) + group.weights.shape[1] // 2 for group in self.groups))
        self.bytes_per_clip = self._bytes()

    def _bytes(self) -> int:
        """Return what one clip takes: itself, its spectrum twice, its result twice, the largest group's buffers."""
        item = self.dtype.itemsize
        groups = max(8 * group.K * group.L for group in self.groups)  # two complex, one real, a spectrum and a part
        far = max(2 * group.K * (high - low) for group in self.groups for low, high in [reach(group.far)])
        clip = self.n_samples + self.total + 2 * (self.high - self.low) + self.total + 2
        return int(item * (clip + 2 * self.n_paths * self.n_frames + groups + far))

    def forward(self, wave: Tensor) -> Tensor:
        """Return the coefficients (batch, n_paths, n_frames) of `wave` (batch, n_samples).

        Raises:
            ValueError: another shape, or NaN or infinite samples; the message names the clip.

        """
        check_wave(wave, self.n_samples)
        return self.compute(wave)

    @torch.no_grad()
    def compute(self, wave: Tensor) -> Tensor:
        """Do what `forward` does, without looking at the samples: on a GPU, without waiting for it."""
        wave = wave.to(self.dtype)
        out = wave.new_empty(len(wave), self.n_paths, self.n_frames)
        cpu = suits_cpu(wave)

        def work(first: int, last: int) -> None:
            with torch.no_grad(), self.pool.lend(wave) as buffers:
                self._chunk(wave[first:last], out[first:last], buffers, TILE if cpu else 2**62)

        over_chunks(work, len(wave), CHUNK if cpu else len(wave), torch.get_num_threads() if cpu else 1)
        return out

    def _chunk(self, wave: Tensor, out: Tensor, buffers: Buffers, tile: int) -> None:
        padded = self.mirror.extend(wave, buffers.real("signal", len(wave), self.total))
        half = long_rfft(padded)
        raw = buffers.real("raw", *out.shape)
        raw[:, 0] = self.phi0.of_spectrum(half)
        bins = window(half, self.total, self.low, self.high, buffers.complex("bins", len(wave), self.high - self.low))
        del half
        row = 1
        for group in self.groups:
            group.forward(bins, self.low, raw[:, row : row + len(group.keys)], buffers, tile)
            row += len(group.keys)
        torch.index_select(raw, 1, self.rows, out=out)


def renorm(S: Tensor, paths: Paths, epsilon: float) -> Tensor:
    """Divide every S2[k, j] by S1[k] + epsilon: Song et al. 2018, Eq. 4.

    S: (..., paths, frames) with the rows of `paths`; epsilon: `Scattering.epsilon`.

    Averages of a modulus are not negative, but as computed they are, slightly, where there is next to nothing: the low
    pass has side lobes, the FFT rounds. They count as 0. Since ||x * psi1| * psi2| <= |x * psi1| * |psi2|, a steady
    sound has S2 <= |psi2|_1 S1, 1.3 S1 with ScatNet's wavelets. Beside a burst S2 may exceed any multiple of S1: the
    widest psi2 are longer than phi, so that S1 has ended where S2 has not. There S2 counts as `RENORM_BOUND` S1 at
    most. So the result lies in [0, RENORM_BOUND], and falls to 0 with S1 below epsilon.
    """
    first = np.flatnonzero(paths.order == 1)
    second = np.flatnonzero(paths.order == 2)
    parent = {(xi, bw): row for row, xi, bw in zip(first, paths.xi1[first], paths.bw1[first], strict=True)}
    parents = [parent[xi, bw] for xi, bw in zip(paths.xi1[second], paths.bw1[second], strict=True)]
    if len(second) == 0:
        return S.clone()
    low, index = int(second[0]), torch.tensor(parents, device=S.device)  # order 2 comes last
    S1, S2 = S.index_select(-2, index).clamp_(min=0), S[..., low:, :].clamp(min=0)
    return torch.cat([S[..., :low, :], torch.minimum(S2, RENORM_BOUND * S1) / (S1 + epsilon)], dim=-2)


def log(S: Tensor, epsilon: float) -> Tensor:
    """Compress S to the logarithm of |S| + epsilon: averages of nothing come out slightly negative."""
    return (S.abs() + epsilon).log_()


def validate(
    n_samples: int, T: int, Q: tuple[int, int], oversampling: int, bank: str, padding: str, order: int, J: int | None
) -> None:
    """Raise a ValueError for the first option out of its limits."""
    kind = "scattering"
    require(bank in ("scatnet", "kymatio"), kind, "bank", "be scatnet or kymatio", bank)
    require(padding in ("fast", "exact"), kind, "padding", "be fast or exact", padding)
    require(order in (1, 2), kind, "max_order", "be 1 or 2", order)
    require(1 <= min(Q) <= max(Q) <= NARROWEST, kind, "Q", f"be at least 1 and at most {NARROWEST} in either order", Q)
    require(0 <= oversampling <= FINEST, kind, "oversampling", f"be in [0, {FINEST}]", oversampling, "an exponent of 2")
    require(n_samples >= T, kind, "T", f"be at most n_samples={n_samples}", T, "clips shorter than the average")
    if bank == "scatnet":
        least = max(4 * q // (2 if q == 1 else 1) for q in Q)
        require(least <= T, kind, "T", f"be at least {least} at Q={Q}", T, "narrower than one wavelet")
        require(J is None, kind, "J", "be left out with bank=scatnet, which derives it from T", J)
    else:
        require(T >= 2, kind, "T", "be at least 2", T)
        require(J is None or 1 <= J <= math.log2(n_samples), kind, "J", "be in [1, log2(n_samples)]", J)


class ScatteringFeatures(Representation):
    """Scattering as frames of features, (batch, n_frames, n_paths).

    normalization: "log" (default), "renorm", "renorm-log" (both, in that order), "none", or "song": what "renorm"
    computes, of which S0 and S1 alone are standardised later, as Song et al. 2018 do.
    standardize: the orders that are standardised over the training clips (None: all, or 0 and 1 with "song").
    Other options: those of `Scattering`.

    `axes` has `standardized`, (n_paths,), unless all are.
    """

    def __init__(
        self,
        *,
        rate: int,
        n_samples: int,
        T: int = 8192,
        Q: tuple[int, int] = (8, 1),
        oversampling: int = 1,
        bank: Literal["scatnet", "kymatio"] = "scatnet",
        padding: Literal["fast", "exact"] = "fast",
        max_order: Literal[1, 2] = 2,
        J: Rare[int | None] = None,
        normalization: Literal["none", "renorm", "log", "renorm-log", "song"] = "log",
        standardize: Rare[tuple[int, ...] | None] = None,
    ) -> None:
        super().__init__("scattering", rate, n_samples)
        choices = f"be one of {NORMALIZATIONS}"
        require(normalization in NORMALIZATIONS, "scattering", "normalization", choices, normalization)
        orders = range(max_order + 1)
        require(
            standardize is None or set(standardize) <= set(orders), "scattering", "standardize",
            f"hold orders from 0 to max_order={max_order}", standardize,
        )  # fmt: skip
        self.normalization = normalization
        self.transform = Scattering(
            n_samples, T=T, Q=Q, oversampling=oversampling, bank=bank, padding=padding, max_order=max_order, J=J,
            rate=rate,
        )  # fmt: skip
        paths: Paths = self.transform.paths
        self.n_frames, self.n_dims = self.transform.n_frames, self.transform.n_paths
        self.bytes_per_clip = self.transform.bytes_per_clip
        if standardize is None:
            standardize = SONG_ORDERS if normalization == "song" else tuple(orders)
        standardized = np.isin(paths.order, standardize)
        self.axes = {
            "hz": np.nan_to_num(paths.xi1),
            **{name: np.asarray(paths[name]) for name in paths.dtype.names or ()},
            "seconds_per_frame": self.transform.hop / rate,
            "normalization": normalization,
            **({} if standardized.all() else {"standardized": standardized}),
        }

    def compute(self, wave: Tensor) -> Tensor:
        """Return (batch, n_frames, n_paths) for `wave` (batch, n_samples) at `rate` Hz."""
        transform = self.transform
        S = transform.compute(wave)
        if self.normalization in ("renorm", "renorm-log", "song"):
            S = renorm(S, transform.paths, transform.epsilon)
        if self.normalization.endswith("log"):
            S = log(S, transform.epsilon)
        return S.transpose(1, 2).contiguous()


build = ScatteringFeatures
