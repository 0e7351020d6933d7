"""The decoded waveforms of a small corpus."""

from __future__ import annotations

import pytest

from earmark.config import WaveformConfig
from earmark.corpus.kinds.magnatagatune import read
from earmark.decode.corpus import decode_corpus
from earmark.decode.waveforms import Waveforms


@pytest.fixture
def waveforms(make_corpus, tmp_path):
    audio, annotations = make_corpus()
    clips = read(audio, annotations)[0]
    decode_corpus(clips, audio, 16_000, WaveformConfig(samples=24_000), tmp_path / "waves")
    return Waveforms(tmp_path / "waves", clips, audio)
