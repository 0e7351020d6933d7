"""A picture of a wave has its levels where the sound is, in seconds and Hz."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from helpers import ROOT

from earmark.config import load
from earmark.errors import EarmarkError
from earmark.inspection import picture

RATE, SAMPLES = 16_000, 65_536


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    common = {"rate": RATE, "samples": SAMPLES}
    content["waveforms"] = {str(RATE): {"samples": SAMPLES}}
    content["representations"] = {
        "mel": common | {"kind": "mel", "compression": "log10p"},
        "renormalised": common | {"kind": "scattering", "T": 4096, "normalization": "renorm-log"},
    }
    content["experiments"] = {}
    path = tmp_path_factory.mktemp("settings") / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return load(path)


def beating(hz=1000.0, beat=8.0):
    """A tone in the second half of a clip whose loudness beats."""
    t = np.arange(SAMPLES) / RATE
    wave = 0.4 * np.sin(2 * np.pi * hz * t) * (1 + np.cos(2 * np.pi * beat * t))
    wave[: SAMPLES // 2] = 0
    return wave.astype(np.float32)


def test_a_tone_is_loudest_at_its_frequency_and_its_beating_in_the_second_order(config):
    mel, cqt, first, second = picture.panels({RATE: beating()}, config)
    for panel in (mel, cqt, first):
        assert panel.levels.max() == 0
        assert panel.levels.min() >= -picture.FLOOR
        assert np.all(np.diff(panel.hz) > 0)
        loudest = np.unravel_index(panel.levels.argmax(), panel.levels.shape)
        assert panel.hz[loudest[0]] == pytest.approx(1000, rel=0.1)
        assert loudest[1] * panel.step > SAMPLES / RATE / 2 - 0.3
        silent = panel.levels[:, : int(1.2 / panel.step)]
        assert silent.max() < -30
    whole = second.levels[:, int(2.8 / second.step) :].mean(1)
    assert second.hz[whole.argmax()] == pytest.approx(8, rel=0.6)


def test_settings_are_those_of_params_without_logarithms_and_defaults_where_a_kind_has_no_entry(config):
    found = picture.settings(config)
    assert list(found) == ["mel", "cqt", "scattering"]
    assert found["scattering"].options() == {"T": 4096, "normalization": "none", "max_order": 2}
    assert found["mel"].options() == {"log_amplitude": False}
    assert (found["cqt"].rate, found["cqt"].samples) == (RATE, SAMPLES)


def test_a_picture_is_1200_pixels_wide_with_seconds_and_hz_and_one_scale_of_colours(config, tmp_path, monkeypatch):
    drawn = []
    from matplotlib.figure import Figure

    real = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (drawn.append(self), real(self, *a, **k)))
    picture.draw({RATE: beating()[:40_000]}, config, "a $song\udcff", tmp_path / "x.png")
    (figure,) = drawn
    content = (tmp_path / "x.png").read_bytes()
    assert int.from_bytes(content[16:20], "big") == 1200
    *axes, colours = figure.axes
    assert [one.get_ylabel() for one in axes] == ["amplitude", "Hz", "Hz", "Hz", "Hz of the beating"]
    assert axes[-1].get_xlabel() == "seconds"
    assert {one.get_xlim() for one in axes} == {(0.0, 2.5)}
    assert {one.collections[0].get_clim() for one in axes[1:]} == {(-picture.FLOOR, 0)}
    assert "dB" in colours.get_ylabel()
    assert "a $song\\udcff" in axes[0].get_title()


def test_what_hears_another_rate_is_left_out_and_the_wave_is_drawn(config, tmp_path):
    elsewhere = config.model_copy(update={"waveforms": {8000: config.waveforms[RATE]} | config.waveforms})
    waves = {RATE: beating()}
    assert len(picture.panels(waves, config)) == 4
    assert [panel.title for panel in picture.panels(waves, elsewhere)] == [
        "mel spectrogram", "scattering, order 1", picture.panels(waves, config)[-1].title,
    ]  # fmt: skip
    assert picture.panels({44_100: beating()}, config) == []
    picture.draw({44_100: beating()}, config, "x", tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 5_000


def test_silence_is_drawn_at_the_floor(config, tmp_path):
    silence = {RATE: np.zeros(SAMPLES, np.float32)}
    assert {float(panel.levels.max()) for panel in picture.panels(silence, config)} == {-picture.FLOOR}
    picture.draw(silence, config, "silence", tmp_path / "x.png")


def test_a_place_that_cannot_be_written_is_named(config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EarmarkError, match=r"x\.png cannot be written: "):
        picture.draw({RATE: beating()}, config, "x", tmp_path / "file/x.png")
