"""What stands in an MPEG file and is no audio: tags, and what an encoder says of the frames that follow."""

from __future__ import annotations

from dataclasses import dataclass

from earmark.decode.bytes_of_file import FileBytes
from earmark.decode.mpeg import headers

DECODER_DELAY = 529  # samples that every decoder of layer III adds to those of the encoder
_FEW_BITS = 2  # of the name that may be damaged
_ID3V1, _APE_FOOTER = 128, 32


@dataclass(frozen=True)
class Announced:
    """What the first frame of a track says, which holds no audio (Xing's, LAME's, or Fraunhofer's VBRI).

    frames: how many follow, 0 if it does not say. size: their bytes, its own included, 0 if it does not say.
    delay, padding: samples at the beginning and the end that are not the music's, delay None if it does not say.
    vbri: it is Fraunhofer's, which libsndfile takes for audio.
    """

    frames: int = 0
    size: int = 0
    delay: int | None = None
    padding: int = 0
    vbri: bool = False


INFO = (b"Xing", b"Info")
INFO_WITHIN = 40  # bytes of a frame


def info_place(head: int) -> int:
    """Return where in a frame one of INFO stands, if it does."""
    return 4 + headers.side_information(head)


def length(data: FileBytes, place: int) -> int:
    """Return how many bytes the tag at ``place`` takes; 0 if there is none."""
    start = data.at(place, 32)
    if start[:3] == b"ID3" and len(start) >= 10 and not any(byte & 0x80 for byte in start[6:10]):
        size = start[6] << 21 | start[7] << 14 | start[8] << 7 | start[9]
        return 10 + size + (10 if start[5] & 0x10 else 0)
    if start[:3] == b"TAG":
        return _ID3V1
    if start[:8] == b"APETAGEX":
        is_header = len(start) == 32 and start[23] & 0x20
        return _APE_FOOTER + (int.from_bytes(start[12:16], "little") if is_header else 0)
    if start[:11] == b"LYRICSBEGIN":
        return max(0, data.find(b"LYRICS200", place, 1 << 20) + 9 - place)
    return 0


def front(data: FileBytes) -> int:
    """Return where the tags end at the beginning of the file."""
    place = 0
    while taken := length(data, place):
        place += taken
    return place


def end(data: FileBytes) -> int:
    """Return where the tags begin at the end of the file."""
    place = data.size
    while True:
        before = place
        if data.at(place - _ID3V1, 3) == b"TAG" and place >= _ID3V1:
            place -= _ID3V1
        footer = data.at(max(0, place - _APE_FOOTER), _APE_FOOTER)
        if footer[:8] == b"APETAGEX":
            place -= int.from_bytes(footer[12:16], "little") + (_APE_FOOTER if footer[23] & 0x80 else 0)
        if data.at(max(0, place - 9), 9) == b"LYRICS200":
            told = data.at(max(0, place - 15), 6)
            place -= int(told) + 15 if told.isdigit() else 0
        if place == before or place <= 0:
            return max(0, place)


def _is_info(side: bytes, name: bytes) -> bool:
    """Whether it is one of INFO, be it damaged: a frame of it has no side information."""
    if name in INFO or side.strip(b"\0"):
        return name in INFO
    return any((int.from_bytes(name, "big") ^ int.from_bytes(one, "big")).bit_count() <= _FEW_BITS for one in INFO)


def announced(frame: bytes, head: int) -> Announced | None:
    """Return what a frame says if it is the one with which an encoder begins; None if it holds audio."""
    if headers.layer(head) != 3:
        return None
    if frame[36:40] == b"VBRI":
        return Announced(int.from_bytes(frame[50:54], "big"), int.from_bytes(frame[46:50], "big"), vbri=True)
    place = info_place(head)
    if not _is_info(frame[4:place], frame[place : place + 4]):
        return None
    flags, place = frame[place + 7], place + 8
    told = []
    for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)):
        told.append(int.from_bytes(frame[place : place + size], "big") if flags & bit and bit < 4 else 0)
        place += size if flags & bit else 0
    lame = frame[place : place + 24]
    if len(lame) < 24 or not lame[0]:
        return Announced(told[0], told[1], 0 if told[0] else None)  # the delay of a decoder is there in any case
    return Announced(told[0], told[1], lame[21] << 4 | lame[22] >> 4, (lame[22] & 15) << 8 | lame[23])
