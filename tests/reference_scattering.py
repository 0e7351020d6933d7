"""The scattering transform as its equations say it: all filters and all signals in full, sampled only at the end.

Song et al. 2018, Eqs. 1 to 3, after Anden & Mallat 2014, with the wavelets of ScatNet's audio defaults.
"""

import numpy as np

SIGMA0 = 2 / np.sqrt(3)


def scattering(x, Q=(8, 1), T=8192, hop=4096):
    """Return S0, S1 and S2 of a signal at every hop-th sample: {(): S0, (k,): S1[k], (k, j): S2[k, j]}."""
    w = np.pi * np.arange(2 * len(x)) / len(x)  # the bins of the signal and its mirror image
    xi1, bandwidth1, psi1, phi0 = filters(Q[0], T, w)
    xi2, _, psi2, phi = filters(Q[1], T, w)
    S = {(): convolve(x, phi0).real[::hop]}  # S0 = x * phi
    for k in range(len(xi1)):
        u1 = np.abs(convolve(x, psi1[k]))
        S[k,] = convolve(u1, phi).real[::hop]  # S1 = |x * psi1| * phi
        for j in np.flatnonzero(xi2 < bandwidth1[k]):
            u2 = np.abs(convolve(u1, psi2[j]))
            S[k, j] = convolve(u2, phi).real[::hop]  # S2 = ||x * psi1| * psi2| * phi
    return S


def convolve(x, f):
    """Return x * f for a filter f in frequency. The mirror image of x continues it on both sides."""
    return np.fft.ifft(np.fft.fft(np.concatenate([x, x[::-1]])) * f)[: len(x)]


def filters(Q, T, w):
    """Return centres, bandwidths, wavelets and low pass at w radians per sample: Q wavelets per octave."""
    a, m = 2 ** (-1 / Q), 2 if Q == 1 else 1
    s_psi = SIGMA0 / 2 / (1 - a)  # the width in time, in samples, of the highest wavelet
    s_phi = s_psi / m
    J = 1 + round(np.log2(T / (4 * Q / m)) * Q)  # so many wavelets at a constant ratio
    P = round((a - SIGMA0 / (4 * s_phi)) / (1 - a))  # and below them so many at a constant step
    step = np.pi * a**J * (1 - SIGMA0 / (4 * s_phi) / a) / max(P, 1)
    xi = (a + 1) * np.pi / 2 * a ** np.arange(J)
    xi = np.append(xi, xi[-1] - step * np.arange(1, P + 1))
    s = s_psi * a ** -np.minimum(np.arange(J + P), J - 1)
    psi = [gabor(w, c, d) - gabor(0, c, d) * gabor(w, 0, d) for c, d in zip(xi, s, strict=True)]
    gain = np.sqrt(2 / sum(f**2 for f in psi[:J]).max())
    return xi, np.pi / 2 * SIGMA0 / s, [gain * f for f in psi], gabor(w, 0, s_phi * a ** (1 - J))


def gabor(w, xi, s):
    """Return a Gaussian about xi of width 1 / s, repeated with period 2 pi."""
    return sum(np.exp(-((w - 2 * np.pi * p - xi) ** 2) * s**2 / 2) for p in range(-1, 3))
