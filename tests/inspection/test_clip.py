"""What the pipeline holds of a clip is read from its shards as it is."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.music import write_songs
from helpers.small_data import RATE, SAMPLES, fill

from earmark.corpus.manifest import read_manifest
from earmark.decode.audio import decode_whole
from earmark.errors import EarmarkError
from earmark.inspection import clip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filled")
    return fill(folder, *write_songs(folder, 6, 4.0), policy="segments")


def test_a_clip_has_all_its_segments_as_decoded_its_features_and_its_tags(place):
    wanted = read_manifest(place.data / "corpus/manifest.csv")[3]
    found = clip.held(place.config, place.data, wanted.clip_id)
    assert found.clip == wanted
    assert found.tags
    assert found.absent == {}
    waves = found.waves[RATE]
    assert len(waves) == len(found.features["mel"]) > 1
    decoded = decode_whole(place.audio / wanted.path, RATE, 0.1)
    assert waves[0] == pytest.approx(decoded[:SAMPLES], abs=1 / 32768)
    assert waves[-1] == pytest.approx(decoded[-SAMPLES:], abs=1 / 32768)
    assert np.isfinite(found.features["mel"]).all()


def test_what_is_not_there_is_noted_with_its_reason(place):
    config = place.config
    more = config.model_copy(update={"waveforms": config.waveforms | {8000: config.waveforms[RATE]}})
    wanted = read_manifest(place.data / "corpus/manifest.csv")[0]
    found = clip.held(more, place.data, wanted.clip_id)
    assert set(found.absent) == {"8000 Hz"}
    assert "run the stage decode" in found.absent["8000 Hz"]


def test_a_clip_of_another_corpus_is_refused(place):
    with pytest.raises(EarmarkError, match=r"manifest.csv has no clip 'nothing'.*: it has 12 clips"):
        clip.held(place.config, place.data, "nothing")
