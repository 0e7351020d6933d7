"""The transforms as torch modules for one's own code: (..., n_samples) -> (..., dims, frames).

They compute what the pipeline's representations compute, to the last bit, and have the same options and defaults.
"""

from __future__ import annotations

import inspect
from typing import Annotated, Any, ClassVar, get_args, get_origin

import numpy as np
from torch import Tensor, nn

from earmark import representations
from earmark.representations.spectrum import Floats


class Transform(nn.Module):
    """A representation of clips of `n_samples` samples at `rate` Hz.

    Attributes:
        n_samples, rate: as given.
        n_dims, n_frames: the last two dimensions of what `forward` returns.
        axes: what dims and frames mean: at least `hz`, one centre frequency per dim, and `seconds_per_frame`.

    """

    kind: ClassVar[str]
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls) -> None:
        own = list(inspect.signature(Transform.__init__, eval_str=True).parameters.values())[1:3]
        options = representations.options(cls.kind).values()
        cls.__signature__ = inspect.Signature([*own, *(p.replace(annotation=_type(p.annotation)) for p in options)])

    def __init__(self, n_samples: int, rate: int = 16_000, **options: Any) -> None:
        super().__init__()
        self.representation = representations.build(self.kind, rate=rate, n_samples=n_samples, **options)
        self.n_samples, self.rate = n_samples, rate
        self.n_dims, self.n_frames = self.representation.n_dims, self.representation.n_frames
        self.axes = self.representation.axes

    @property
    def hz(self) -> Floats:
        """Return the centre frequency of every dim in Hz."""
        return np.asarray(self.axes["hz"])

    def forward(self, wave: Tensor) -> Tensor:
        """Return (..., n_dims, n_frames) for `wave` (..., n_samples), mono at `rate` Hz, without gradients.

        Raises ValueError if the number of samples is another, or if a sample is NaN or infinite.
        """
        features = self.representation(wave[None, None].flatten(0, -2))
        return features.transpose(1, 2).reshape(*wave.shape[:-1], self.n_dims, self.n_frames)


def _type(annotation: Any) -> Any:
    """Return the type in the annotation of an option."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


class Scattering(Transform):
    """The scattering transform of ScatNet or kymatio (Anden and Mallat 2014): dims are paths.

    T: averaging time in samples. Q: wavelets per octave of both orders. oversampling: every signal keeps
    2^oversampling times the critical number of samples. bank: "scatnet" or "kymatio" (then J, log2(T) unless given,
    sets the widest wavelet: 2^J samples). padding: "fast" or "exact", as the toolboxes pad. max_order: 1 or 2.
    normalization: "none", "renorm" (S2 / S1, Song et al. 2018, Eq. 4), "log", "renorm-log", or "song": as "renorm", and
    `axes` says that S0 and S1 alone are standardised; standardize: the orders that are, if it is others.

    `axes` has `order`, `xi1`, `bw1`, `xi2` and `bw2` (Hz) of every path.

    >>> import torch
    >>> scattering = Scattering(n_samples=16_384, T=2048, Q=(8, 1), normalization="none")
    >>> S = scattering(torch.randn(2, 3, 16_384))
    >>> S.shape == (2, 3, scattering.n_dims, scattering.n_frames)
    True
    >>> [int((scattering.axes["order"] == order).sum()) for order in (0, 1, 2)]
    [1, 60, 222]
    """

    kind = "scattering"


class Mel(Transform):
    """The mel spectrogram of librosa, Hann-windowed and in decibels unless told otherwise: dims are bands.

    n_fft, hop: window and step in samples; frame t is centred on sample t * hop. n_mels, fmin, fmax: the number of
    bands and their span in Hz (fmax: rate / 2 if it is None). htk: HTK's mel scale in place of Slaney's.
    log_amplitude: whether power is compressed. compression: "db", 10 log10(max(power, 1e-10)), or "log10p",
    log10(1 + 10000 power).

    >>> import torch
    >>> mel = Mel(n_samples=16_000, n_fft=1024, n_mels=64)
    >>> mel(torch.zeros(16_000)).shape
    torch.Size([64, 63])
    >>> print(f"{mel.hz[0]:.0f} to {mel.hz[-1]:.0f} Hz")
    46 to 7626 Hz
    """

    kind = "mel"


class CQT(Transform):
    """The constant-Q transform of librosa, in decibels unless told otherwise: dims are bins.

    bins, bins_per_octave, fmin: the number of bins, and the centre of the lowest in Hz (C1). hop: samples between
    frames; frame t is centred on sample t * hop. filter_scale: shortens all filters if it is below 1.
    log_amplitude: 20 log10(max(magnitude, 1e-5)).

    >>> import torch
    >>> cqt = CQT(n_samples=32_000)
    >>> tone = torch.sin(2 * torch.pi * 440 / cqt.rate * torch.arange(32_000))
    >>> float(cqt.hz[cqt(tone)[:, 60].argmax()].round(2))
    440.0
    """

    kind = "cqt"
