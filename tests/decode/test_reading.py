"""What happens to bytes on their way: a file is rejected, or says what it lacks, or is as long as it was."""

from __future__ import annotations

import random
import shutil
import subprocess

import numpy as np
import pytest
from helpers.music import music
from helpers.sound_files import encoded, heard

from earmark.decode.audio import RejectedError

RATE = 16_000
WAVE = music(3 * RATE, RATE)
FILES = {
    "cbr": encoded(WAVE, RATE, mode="CONSTANT"), "vbr": encoded(WAVE, RATE, mode="VARIABLE"),
    "flac": encoded(WAVE, RATE, "FLAC"), "vorbis": encoded(WAVE, RATE, "OGG"), "wav": encoded(WAVE, RATE, "WAV"),
    "aiff": encoded(WAVE, RATE, "AIFF"),
}  # fmt: skip


def mutant(data: bytes, chance: random.Random) -> bytes:
    """Return bytes of which some are changed, or from some place on gone."""
    found = bytearray(data)
    how = chance.choice(("bit", "bits", "burst", "zeros", "cut"))
    place = chance.randrange(100, len(found))
    if how == "cut":
        return bytes(found[:place])
    if how in ("burst", "zeros"):
        count = min(chance.choice((4, 40, 400)), len(found) - place)
        found[place : place + count] = chance.randbytes(count) if how == "burst" else bytes(count)
    for _ in range({"bit": 1, "bits": 20}.get(how, 0)):
        found[chance.randrange(100, len(found))] ^= 1 << chance.randrange(8)
    return bytes(found)


@pytest.mark.parametrize("kind", FILES)
def test_nothing_is_shortened_in_silence(tmp_path, kind):
    chance, accepted = random.Random(20), 0
    whole, _ = heard(tmp_path / "x", FILES[kind], RATE)
    for _ in range(60):
        try:
            wave, lacking = heard(tmp_path / "x", mutant(FILES[kind], chance), RATE)
        except RejectedError:
            continue
        accepted += 1
        assert lacking or abs(len(wave) - len(whole)) < 0.06 * RATE
    assert accepted > 20


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("kind", FILES)
def test_ffmpeg_hears_the_same(tmp_path, kind):
    wave, _ = heard(tmp_path / "x", FILES[kind], RATE)
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "x"), "-f", "f32le", "-c:a", "pcm_f32le", "-"]
    other = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.float32)
    np.testing.assert_allclose(wave, other, atol=1e-4)
