"""Play lines of notes with a soundfont, mix them, and put the mix into a room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earmark.demo import soundfont
from earmark.demo.arranging import Line
from earmark.demo.scores import package_folder

Wave = NDArray[np.float64]  # (SAMPLES,), mono
RATE = 16_000
SAMPLES = 465_408  # 29.088 s; the encoder's padding makes the MP3 decode to 466,560, as long as MagnaTagATune's
FFT_SIZE = 1 << 19  # holds a clip and the longest reverberation
AUDIBLE_DB = -14.0  # a stem that is softer than this, relative to the whole mix, is left out
MIN_EVENTS = 3
REVERBERATION = {"dry": (0.15, 0.3), "room": (0.4, 0.8), "hall": (1.0, 1.6), "cathedral": (2.2, 3.5)}  # T60, s
WET_DB = {"dry": -20.0, "room": -12.0, "hall": -9.0, "cathedral": -3.0}
LEVEL_DB = {"quiet": (-37.0, -31.5), "medium": (-27.5, -20.5), "loud": (-16.5, -12.5)}  # RMS, dB re full scale
NOISE_DB = (-68.0, -46.0)
NOISE_BELOW_DB = 24.0  # the noise stays at least this far below the music
TILT = (-0.7, 0.7)  # dB per octave: microphones and rooms colour the sound


def play(line: Line) -> Wave:
    """Return the sound of one line, played with pretty_midi's soundfont."""
    font = soundfont.load(package_folder("pretty_midi") / "TimGM6mb.sf2")
    return font.play(line.events, line.program, line.voice is None, RATE, SAMPLES)


def mix(lines: tuple[Line, ...]) -> tuple[Wave, list[Line]]:
    """Return the mix of the lines at their levels, and the lines that are heard in it.

    A line with few notes, or that the others would cover, is left out, so that the tags stay true.
    """
    stems = [(line, _levelled(play(line), line.gain_db)) for line in lines if len(line.events) >= MIN_EVENTS]
    limit = np.sqrt(sum(_power(stem) for _, stem in stems)) * 10 ** (AUDIBLE_DB / 20)
    heard = [(line, stem) for line, stem in stems if _power(stem) ** 0.5 >= limit]
    return np.sum([stem for _, stem in heard], axis=0), [line for line, _ in heard]


def _power(wave: Wave) -> float:
    return float(np.mean(wave**2))


def level_db(wave: Wave) -> float:
    """Return the root mean square in dB re full scale."""
    return float(10 * np.log10(_power(wave) + 1e-12))


def _levelled(wave: Wave, gain_db: float) -> Wave:
    """Return the wave, scaled so that the RMS of the frames in which the instrument sounds is `gain_db`."""
    frames = wave[: SAMPLES // 1024 * 1024].reshape(-1, 1024)
    power = np.mean(frames**2, axis=1)
    sounding = power[power > power.max() * 1e-4]
    return wave * float(10 ** (gain_db / 20) / np.sqrt(sounding.mean() + 1e-20))


def echo(wave: Wave, rng: np.random.Generator) -> Wave:
    """Return the wave with the repeats of a tape delay, each softer than the one before."""
    delay, feedback = int(rng.uniform(0.22, 0.5) * RATE), rng.uniform(0.55, 0.72)
    result = wave.copy()
    for repeat in range(1, 6):
        result[repeat * delay :] += feedback**repeat * wave[: -repeat * delay]
    return result


def place(wave: Wave, room: str, level: str, rng: np.random.Generator) -> tuple[Wave, float]:
    """Return the mix in a room, recorded at a level and with noise, and the reverberation time T60 in seconds.

    room, level: keys of REVERBERATION and LEVEL_DB.
    """
    T60 = float(rng.uniform(*REVERBERATION[room]))
    wave = _reverberate(wave, T60, WET_DB[room], float(rng.uniform(*TILT)), rng)
    wanted = float(rng.uniform(*LEVEL_DB[level]))
    wave = _limited(wave * 10 ** ((wanted - level_db(wave)) / 20))
    noise_db = min(float(rng.uniform(*NOISE_DB)), wanted - NOISE_BELOW_DB)
    return _limited(wave + rng.normal(0.0, 10 ** (noise_db / 20), SAMPLES)), T60


def _reverberate(wave: Wave, T60: float, wet_db: float, tilt: float, rng: np.random.Generator) -> Wave:
    """Return the wave, convolved with noise that decays as exp(-ln(1000) t / T60) [Moorer 1979], and tilted.

    wet_db: the level of the noise against the direct sound. tilt: dB per octave.
    """
    t = np.arange(int(T60 * RATE)) / RATE
    tail = rng.standard_normal(t.size) * np.exp(-np.log(1000) * t / T60)
    response = np.concatenate([[1.0], np.zeros(RATE // 100), tail * 10 ** (wet_db / 20) / np.sqrt(np.sum(tail**2))])
    octaves = np.log2(np.maximum(np.fft.rfftfreq(FFT_SIZE, 1 / RATE), 60.0) / 1000.0)
    spectrum = np.fft.rfft(wave, FFT_SIZE) * np.fft.rfft(response, FFT_SIZE) * 10 ** (tilt * octaves / 20)
    result: Wave = np.fft.irfft(spectrum, FFT_SIZE)[:SAMPLES]
    return result


def _limited(wave: Wave) -> Wave:
    """Return the wave with values beyond -0.7 and 0.7 compressed, so that none reaches full scale."""
    over = np.abs(wave) > 0.7
    result = wave.copy()
    result[over] = np.sign(wave[over]) * (0.7 + 0.28 * np.tanh((np.abs(wave[over]) - 0.7) / 0.28))
    return result
