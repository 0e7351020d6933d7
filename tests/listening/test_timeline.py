"""A clip over time: the parts of a network that hears excerpts, and of one that hears the whole clip."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from earmark.decode.audio import RejectedError
from earmark.features.listener import Batch
from earmark.listening.timeline import PEAKS, edges, peaks, timeline

RATE, FRAMES, STEP = 16_000, 20, 0.1


class Level(torch.nn.Module):
    """Two logits: the mean over the frames it gets, and its negative."""

    def forward(self, features):
        mean = features.mean(dim=(1, 2))
        return torch.stack([mean, -mean], dim=1)


def predictor(excerpt: int, segments: int = 1, exclusive: bool = False):
    """A model whose features rise from segment to segment and from frame to frame."""
    wave = np.sin(np.linspace(0, 500, int(segments * FRAMES * STEP * RATE))).astype(np.float32)
    features = torch.arange(segments * FRAMES, dtype=torch.float32).reshape(segments, FRAMES, 1) / FRAMES - 1

    class Heard:
        def __init__(self, blocks):
            self.blocks = blocks

        def __iter__(self):
            heard = [block for block in self.blocks() if not isinstance(block, str)]
            self.seconds = sum(map(len, heard)) / RATE
            yield Batch(features, np.arange(segments) * FRAMES * STEP)

    listener = SimpleNamespace(
        blocks=lambda _path: iter([wave[:5000], wave[5000:], "ends early"]),
        hearing=lambda _path, blocks: Heard(blocks),
        transform=SimpleNamespace(axes={"seconds_per_frame": STEP}),
    )
    saved = SimpleNamespace(exclusive=exclusive)
    return SimpleNamespace(listener=listener, networks=[Level()], excerpts=(excerpt, 3), saved=saved)


def test_excerpts_overlap_by_half_and_their_parts_cover_the_clip(tmp_path):
    found = timeline(predictor(excerpt=8), tmp_path)
    assert found.scores.shape == (4, 2)
    assert np.all(np.diff(found.scores[:, 0]) > 0)
    assert found.scores.sum(axis=1) == pytest.approx(1)  # of this network
    assert found.edges[0] == 0
    assert found.edges[-1] == found.seconds == 2
    assert np.diff(found.edges) == pytest.approx([0.6, 0.4, 0.4, 0.6])


def test_a_network_that_hears_the_whole_clip_has_one_part(tmp_path):
    found = timeline(predictor(excerpt=FRAMES), tmp_path)
    assert found.edges.tolist() == [0, 2]
    assert len(found.scores) == 1


def test_a_song_of_several_segments_is_one_line(tmp_path):
    found = timeline(predictor(excerpt=FRAMES, segments=3), tmp_path)
    assert found.edges == pytest.approx([0, 2, 4, 6])
    assert np.all(np.diff(found.scores[:, 0]) > 0)


def test_classes_add_up_to_one(tmp_path):
    assert timeline(predictor(8, exclusive=True), tmp_path).scores.sum(axis=1) == pytest.approx(1)


def test_as_json_by_tag(tmp_path):
    found = timeline(predictor(excerpt=8), tmp_path).as_dict()
    assert len(found["scores"]) == 2
    assert len(found["scores"][0]) == len(found["edges"]) - 1 == 4
    assert len(found["peaks"]) == PEAKS


def test_peaks_are_amplitudes_of_short_and_of_loud_waves():
    assert peaks(np.array([0.5, -2.0], np.float32))[:3].tolist() == [0.5, 1.0, 0.0]
    assert peaks(np.zeros(10_000, np.float32)).max() == 0


def test_parts_of_a_last_segment_that_reaches_back_do_not_run_backwards():
    assert np.all(np.diff(edges(np.array([1.0, 3.0, 2.8]), 4.0)) >= 0)


def test_a_file_that_cannot_be_heard_is_said(tmp_path):
    broken = predictor(8)

    def decode(_path):
        raise RejectedError("it is empty")

    broken.listener.blocks = decode
    with pytest.raises(RejectedError):
        timeline(broken, tmp_path)
