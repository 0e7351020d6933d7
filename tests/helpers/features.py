"""Representations and their extraction by settings as params.yaml has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from earmark.config import RepresentationConfig
from earmark.decode.waveforms import Waveforms
from earmark.features import extract as module

MEL = {"kind": "mel", "rate": 16_000, "samples": 20_000, "n_fft": 512, "hop": 256, "n_mels": 40}


def representation(settings: dict[str, Any]) -> RepresentationConfig:
    return RepresentationConfig.model_validate(settings)


def extract(waveforms: Waveforms, out: Path, settings: dict[str, Any]) -> dict[str, int]:
    return module.extract(waveforms, out, representation(settings))
