"""A wave as a picture: itself, its mel spectrogram, its constant-Q transform, its scattering of order 1 and 2."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from earmark import representations
from earmark.config import Config, RepresentationConfig
from earmark.errors import EarmarkError
from earmark.files import beside

Floats = NDArray[np.float64]

# What is drawn, and the options with which the transform gives amplitudes or powers in place of logarithms.
LINEAR: dict[str, dict[str, Any]] = {
    "mel": {"log_amplitude": False},
    "cqt": {"log_amplitude": False},
    "scattering": {"normalization": "none", "max_order": 2},
}
FLOOR = 80.0  # dB below a panel's maximum, where colours end
COLUMNS = 1100  # of the wave's outline


@dataclass(frozen=True)
class Panel:
    """Levels over time: (bands, frames), 0 at their maximum, in dB.

    hz: the centre frequency of each band, ascending. step: seconds between frames; frame t is centred on t * step.
    """

    title: str
    levels: Floats
    hz: Floats
    step: float
    axis: str = "Hz"


def settings(config: Config) -> dict[str, RepresentationConfig]:
    """Return what is drawn, by kind: the first entry of ``representations`` of each, or the kind's defaults.

    The defaults hear the clips of the first rate of ``waveforms``. Options that make logarithms are off.
    """
    found = {}
    for kind, linear in LINEAR.items():
        own = (one for one in config.representations.values() if one.kind == kind)
        rate, wave = next(iter(config.waveforms.items()))
        chosen = next(own, RepresentationConfig(kind=kind, rate=rate, samples=wave.samples))
        options = {key: value for key, value in chosen.options().items() if key != "compression"}
        found[kind] = chosen.with_options(options | linear)
    return found


def panels(waves: dict[int, NDArray[np.float32]], config: Config) -> list[Panel]:
    """Return the panels below the wave, of what hears one of the waves.

    waves: (samples,) by rate in Hz; they are cut or padded with zeros.
    """
    found = []
    for kind, setting in settings(config).items():
        if setting.rate not in waves:
            continue
        transform = representations.of(setting, kind)
        wave = np.zeros(setting.samples, np.float32)
        heard = waves[setting.rate][: setting.samples]
        wave[: len(heard)] = heard
        with torch.no_grad():
            features = transform(torch.from_numpy(wave)[None])[0].numpy().astype(float).T
        found += _of_kind(kind, features, transform.axes)
    return found


def _of_kind(kind: str, values: Floats, axes: Any) -> list[Panel]:
    """Return the panels of a kind. values: (dims, frames), power of mel, amplitude of the others."""
    step = float(axes["seconds_per_frame"])
    if kind != "scattering":
        factor, title = (10, "mel spectrogram") if kind == "mel" else (20, "constant-Q transform")
        return [Panel(title, _decibels(values, factor), np.asarray(axes["hz"], float), step)]
    order = np.asarray(axes["order"])
    first, second = order == 1, order == 2
    slow = np.unique(axes["xi2"][second])
    by_modulation = [values[second & (axes["xi2"] == xi)].mean(0) for xi in slow]
    carriers = np.argsort(axes["xi1"][first])
    hz = np.asarray(axes["xi1"][first])[carriers]
    beating = "scattering, order 2: how fast the bands of order 1 beat, as a mean over them"
    return [
        Panel("scattering, order 1", _decibels(values[first][carriers], 20), hz, step),
        Panel(beating, _decibels(np.array(by_modulation), 20), slow, step, "Hz of the beating"),
    ]


def _decibels(values: Floats, factor: int) -> Floats:
    """Return levels below the maximum; silence lies at the floor."""
    most = float(values.max(initial=0))
    if most <= 0:
        return np.full(values.shape, -FLOOR)
    return np.maximum(factor * np.log10(np.maximum(values, 1e-30) / most), -FLOOR)


def draw(waves: dict[int, NDArray[np.float32]], config: Config, title: str, target: Path) -> None:
    """Write a PNG of 1200 pixels' width.

    Raises EarmarkError if matplotlib is not installed, or if the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise EarmarkError("a picture is drawn by matplotlib: pip install 'earmark[plot]'") from None
    shown = panels(waves, config)
    figure = Figure(figsize=(12, 3 + 2.4 * len(shown)), dpi=100, layout="constrained")
    ratios = [0.7, *[1.0] * len(shown)]
    top, *rest = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    rate, wave = max(waves.items())
    _outline(top, wave, rate)
    text = title.encode(errors="backslashreplace").decode()  # the name of a file need not be text
    top.set_title(f"{text}\nwave", parse_math=False)
    meshes = [_panel(axes, panel) for axes, panel in zip(rest, shown, strict=True)]
    [top, *rest][-1].set_xlabel("seconds")
    top.set_xlim(0, len(wave) / rate)
    if meshes:
        figure.colorbar(meshes[0], ax=rest, label="dB below the maximum of the panel", pad=0.01, aspect=60)
    with beside(target) as place, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # a name in another script
        figure.savefig(place, format="png")


def _outline(axes: Any, wave: NDArray[np.float32], rate: int) -> None:
    """Draw the least and the greatest sample of each column of pixels."""
    edges = np.linspace(0, len(wave), min(COLUMNS, len(wave)) + 1).astype(int)
    low, high = (np.array(f.reduceat(wave, edges[:-1])) for f in (np.minimum, np.maximum))
    axes.fill_between(edges[:-1] / rate, low, high, step="post", color="#31688e", linewidth=0.5)
    most = max(float(np.abs(wave).max(initial=0)), 1e-3)
    axes.set_ylim(-1.05 * most, 1.05 * most)
    axes.set_ylabel("amplitude")


def _panel(axes: Any, panel: Panel) -> Any:
    """Draw levels on a logarithmic axis of frequencies, and return what a scale of colours belongs to."""
    times = (np.arange(panel.levels.shape[1] + 1) - 0.5) * panel.step
    mesh = axes.pcolormesh(times, _edges(panel.hz), panel.levels, vmin=-FLOOR, vmax=0, cmap="viridis", rasterized=True)
    axes.set_yscale("log")
    axes.set_ylabel(panel.axis)
    axes.set_title(panel.title)
    axes.yaxis.set_major_formatter(lambda hz, _: f"{hz:g}")
    axes.yaxis.set_minor_formatter(lambda *_: "")
    return mesh


def _edges(hz: Floats) -> Floats:
    """Return the borders between bands, the geometric means of their centres."""
    if len(hz) == 1:
        return hz[0] * np.array([0.9, 1.1])
    inner = np.sqrt(hz[:-1] * hz[1:])
    return np.array([hz[0] ** 2 / inner[0], *inner, hz[-1] ** 2 / inner[-1]])
