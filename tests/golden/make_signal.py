"""The signal that ScatNet transformed into `scatnet_signal.npz`, from its formula.

Nine tones with vibrato, each restarting its decay at its own pace, over noise from the C standard's example
generator, scaled to a peak of 0.8. Run as a script it writes `signal.wav`, to give to ScatNet.

The golden files hold ScatNet 0.2's output (its audio defaults, T = 8192, oversampling 1; GNU Octave 7.3) as
float32 (433, 114): S, then S renormalised, then the logarithm of that. `scatnet_mtat_37386.npz` is the
same for a clip of MagnaTagATune, whose sound is not distributed with this project.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

RATE, N_SAMPLES = 16_000, 464_000
HERTZ = (55.0, 110.0, 220.0, 330.0, 445.0, 890.0, 1333.0, 3000.0, 6100.0)


def uniform_noise(n: int, seed: int = 12_345) -> np.ndarray:
    """Return n values in [-1, 1) of the linear congruential generator 1103515245 s + 12345 modulo 2^31."""
    states = np.empty(n)
    for i in range(n):
        seed = (1_103_515_245 * seed + 12_345) % 2**31
        states[i] = seed
    return states / 2**30 - 1


def signal() -> np.ndarray:
    """Return the signal, (464000,) float64."""
    t = np.arange(N_SAMPLES) / RATE
    x = 0.02 * uniform_noise(N_SAMPLES)
    tones = np.zeros(N_SAMPLES)
    for k, hertz in enumerate(HERTZ):
        phase = 2 * np.pi * hertz * t + 4 * np.sin(2 * np.pi * (1.5 + k) * t)
        tones += np.sin(phase) * np.exp(-3 * np.mod(t * (1 + k / 4), 1.0)) / (k + 1)
    x = tones + x
    return x / (1.25 * np.abs(x).max())


if __name__ == "__main__":
    from scipy.io import wavfile

    wavfile.write(Path(__file__).with_name("signal.wav"), RATE, signal())
