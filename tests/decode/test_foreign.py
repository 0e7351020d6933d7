"""What is no audio, or none that can be decoded, is called by its name."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.music import tone
from helpers.sound_files import encoded, heard

from earmark.decode import foreign
from earmark.decode.audio import RejectedError


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html><body>404</body></html>", "HTML or XML text, no audio"),
        (b"\xef\xbb\xbf \n<!DOCTYPE html><p>moved", "HTML or XML text, no audio"),
        ("Zugriff verweigert: für Gäste\n".encode() * 40, "text, no audio"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ", "what macOS keeps beside a file"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "MPEG-4"),
        (b"\xff\xf1\x50\x80\x43\x80" * 40, "AAC"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media"),
        *((word + b"\xff\xfa\x90\x40" * 1000, "DTS") for word in foreign._DTS),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (bytes(50_000), "zeros alone"),
        (np.random.default_rng(1).bytes(200_000), "no MPEG frame found"),
    ],
)
def test_the_reason_names_what_it_is(tmp_path, content, reason):
    with pytest.raises(RejectedError, match=reason) as raised:
        heard(tmp_path / "x.mp3", content)
    assert "pipe" not in str(raised.value)


def test_an_id3_tag_alone_is_no_audio(tmp_path):
    with pytest.raises(RejectedError, match="no MPEG frame found"):
        heard(tmp_path / "x.mp3", b"ID3\x03\0\0\0\0\x0f\x76" + b"TIT2" + bytes(2034) + bytes(1000))


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "AIFF", "AU", "CAF"])
def test_audio_is_taken_for_nothing_else(tmp_path, form):
    for level in (0, 1e-3, 0.9):
        data = encoded(tone(0.5, 440, level=level), 16_000, form)
        assert len(heard(tmp_path / "x.mp3", data, 16_000)[0]) == 8_000
