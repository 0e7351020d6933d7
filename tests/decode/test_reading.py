"""What happens to bytes on their way: a file is rejected, or says what it lacks, or is as long as it was."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.music import music
from helpers.sound_files import encoded, heard

from earmark.decode.audio import RejectedError
from earmark.decode.reading import open_source

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


TAG = b"ID3\x03\0\0\0\0\x02\x10" + bytes(272)


def without_size(kind: str) -> bytes:
    """Return a WAV or a FLAC as it comes from a pipe."""
    place, unknown = {"wav": (40, b"\xff" * 4), "flac": (22, bytes(4))}[kind]
    return FILES[kind][:place] + unknown + FILES[kind][place + 4 :]


def damaged(data: bytes) -> bytes:
    """Return a file of which some bytes in the middle are zeros."""
    half = len(data) // 2
    return data[:half] + bytes(200) + data[half + 200 :]


@pytest.mark.parametrize("tags", [TAG, TAG + TAG], ids=["one", "two"])
@pytest.mark.parametrize("kind", ["flac", "wav", "aiff", "vorbis"])
def test_behind_tags_a_file_is_heard_as_without_them(tmp_path, kind, tags):
    data = FILES[kind]
    files = [data, data[: len(data) // 2], damaged(data)]
    if kind in ("flac", "wav"):
        files += [without_size(kind), damaged(without_size(kind))]
    for content in files:
        expected, found = (heard(tmp_path / "x", front + content, RATE) for front in (b"", tags))
        np.testing.assert_array_equal(found[0], expected[0])
        assert found[1] == expected[1]


def test_what_is_no_regular_file_is_rejected_and_called_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "broken.wav").symlink_to("nowhere.wav")
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(tmp_path / "socket.wav"))
        for path, reason in {
            tmp_path: "a folder, no regular file",
            tmp_path / "pipe.wav": "a pipe, no regular file",
            tmp_path / "socket.wav": "a socket, no regular file",
            Path(os.devnull): "a device, no regular file",
            tmp_path / "loop.wav": "not readable: Too many levels of symbolic links",
            tmp_path / "broken.wav": "no such file",
            tmp_path / "file/x.wav": "no such file",
            tmp_path / "x\0.wav": "no such file",
        }.items():
            with pytest.raises(RejectedError, match=f"^{reason}$"):
                open_source(path)
