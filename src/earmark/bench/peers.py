"""The transforms that users run today, as the benchmarks call them: kymatio 0.3 and librosa."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Clips = NDArray[np.float32]
Peer = Callable[[Clips], NDArray[np.floating[Any]]]

KYMATIO: dict[str, Any] = {"J": 11, "Q": (8, 1), "T": 8192, "oversampling": 1}


def kymatio_scattering(n_samples: int, **options: Any) -> Any:
    """Return kymatio's torch scattering. The import avoids `kymatio.torch`, which new versions of SciPy break."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D

        return ScatteringTorch1D(shape=n_samples, **options)


def kymatio_gains(peer: Any) -> NDArray[np.float64]:
    """Return the factor by which each of kymatio's rows falls short of the scattering coefficient.

    kymatio averages a filter for a signal at resolution r over its 2^r aliases, but should sum them. That costs
    a factor 2^-r for psi2 at U1's resolution r1, and for phi at the resolution of the signal that it averages.
    """
    first = [max(min(f["j"], peer.log2_T) - peer.oversampling, 0) for f in peer.psi1_f]
    meta, powers = peer.meta(), []
    for order, n in zip(meta["order"], meta["n"], strict=True):
        r1 = first[int(n[0])] if order > 0 else 0
        r2 = max(min(peer.psi2_f[int(n[1])]["j"], peer.log2_T) - peer.oversampling, r1) if order > 1 else 0
        powers.append(r1 + (r2 if order > 1 else 0))
    return np.exp2(powers)


def scattering_peer(n_samples: int) -> Peer:
    """Return kymatio's scattering of (batch, n_samples) to (batch, paths, frames)."""
    peer = kymatio_scattering(n_samples, **KYMATIO)

    def transform(clips: Clips) -> NDArray[np.floating[Any]]:
        with torch.no_grad():
            return peer(torch.from_numpy(clips)).numpy()

    return transform


def mel_peer(rate: int, n_fft: int, hop: int, n_mels: int) -> Peer:
    """Return librosa's log-mel of (batch, n_samples) to (batch, bands, frames)."""
    import librosa

    def transform(clips: Clips) -> NDArray[np.floating[Any]]:
        power = librosa.feature.melspectrogram(y=clips, sr=rate, n_fft=n_fft, hop_length=hop, n_mels=n_mels)
        return librosa.power_to_db(power, top_db=None)

    return transform


def cqt_peer(rate: int, hop: int) -> Peer:
    """Return librosa's CQT magnitude in dB of (batch, n_samples) to (batch, bins, frames)."""
    import librosa

    def transform(clips: Clips) -> NDArray[np.floating[Any]]:
        C = np.abs(librosa.cqt(clips, sr=rate, hop_length=hop, n_bins=84, tuning=0.0))
        return librosa.amplitude_to_db(C, top_db=None)

    return transform
