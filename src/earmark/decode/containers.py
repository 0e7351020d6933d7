"""What the headers of WAV, RF64, W64, AIFF, AU, CAF, VOC and FLAC say, to be compared with what the file holds."""

from __future__ import annotations

import math
import struct
import sys
from dataclasses import dataclass, replace
from functools import partial

from earmark.decode import chunks
from earmark.decode.bytes_of_file import FileBytes
from earmark.decode.reader import RejectedError

_PLACEHOLDERS = (1 << 31, 1 << 32)  # what programs write as a size that they do not know yet, or almost
_NEAR = 4096
_PACKETS = 1 << 22  # bytes of a table of packets: days of music
_EXTENSIBLE, _MP3, _GSM = 0xFFFE, 0x55, 0x31
_GSM_BLOCK = 320  # samples
_VOC_HEADS = {b"\1": 2, b"\x09": 12}  # bytes in front of the samples of a block, by its kind
_NOTHING = "its header is damaged: it says of no samples where they stand"
_LINEAR = (1, 3, 6, 7, _EXTENSIBLE)  # WAV formats with as many bytes for every sample: PCM, float, A-law, mu-law
_SUBTYPES = {(3, 32): "FLOAT", (3, 64): "DOUBLE", (6, 8): "ALAW", (7, 8): "ULAW"}  # by format and bits of a sample


@dataclass(frozen=True)
class Told:
    """What a header says. None, or 0, stands for what it leaves open.

    rate: Hz. samples: of each channel. size: bytes of the samples. data: where they stand in the file: to its end,
    unless something else stands behind them. doubt: a contradiction within the header. mpeg: the samples are MPEG
    audio. big: big endian. packets: their bytes, of a form in which each holds ``of_packet`` samples. subtype: how
    libsndfile calls samples which it would take for others.
    """

    rate: float = 0
    channels: int = 0
    samples: int | None = None
    size: int | None = None
    data: tuple[int, int] | None = None
    doubt: str = ""
    mpeg: bool = False
    big: bool = False
    packets: tuple[int, ...] = ()
    of_packet: int = 0
    subtype: str = ""
    most: int = sys.maxsize


def told(data: FileBytes) -> Told | None:
    """Return what the header of a file says; None if it is of another kind, or too short."""
    start = data.at(0, 12)
    try:
        if start[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and start[8:] == b"WAVE":
            return _wav(data, big=start[:4] == b"RIFX")
        if start[:4] == b"FORM" and start[8:] in (b"AIFF", b"AIFC"):
            return _aiff(data)
        if start[:4] in (b".snd", b"dns."):
            return _au(data, big=start[:4] == b".snd")
        if start[:4] == b"caff":
            return _caf(data)
        if start == b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb":
            return _w64(data)
        if start[:4] == b"fLaC":
            return _flac(data)
        if start == b"Creative Voi":
            return _voc(data)
    except struct.error:
        return None
    return None


def _known(size: int, rest: int) -> int | None:
    """Return a size, or None if it is one that stands for an unknown one."""
    placeholder = any(abs(size - one) < _NEAR for one in _PLACEHOLDERS)
    return None if size == 0 or (size > rest and placeholder) else size


def _cut(data: FileBytes, all_bytes: int, held: int, size: int | None) -> str:
    """Return that a file is cut off if only the size of all of it tells so; else nothing.

    all_bytes: of the file, as its header says. held, size: bytes of samples that there are, and that the header says,
    which is used if it is neither unknown nor too small.
    """
    whole = _known(all_bytes, data.size)
    if whole is None or whole <= data.size + 8 or (size is not None and size >= held):
        return ""
    return f"its header says {whole} bytes, and the file has {data.size}: it is damaged or cut off"


def _wav(data: FileBytes, big: bool) -> Told:
    order = ">" if big else "<"
    form, wide, whole = None, None, struct.unpack(f"{order}I", data.at(4, 4))[0]
    inside = partial(chunks.riff, data, order)
    for name, place, size, _ in inside(12):
        if name == b"ds64":
            whole, wide, _ = struct.unpack("<QQQ", data.at(place, 24))
        if name == b"fmt ":
            form = struct.unpack(f"{order}HHIIHH", data.at(place, 16))
        if name == b"data" and form is not None:
            kind, channels, rate, per_second, align, _ = form
            known = wide if wide and size == 0xFFFFFFFF else _known(size, data.size - place)
            linear = kind in _LINEAR and align > 0
            doubt = _doubt(rate, per_second, align) if linear else ""
            samples = known // align if linear and known is not None else None
            where, strange = chunks.extent(data, place, known, inside, 2, whole + 8)
            doubt = doubt or strange or _cut(data, whole + 8, where[1] - where[0], known)
            most = _most(kind, align, where)
            return Told(rate, channels, samples, known, where, doubt, kind == _MP3, big, most=most)
    return Told(doubt=_NOTHING) if form is None else Told(form[2], form[1], doubt=_NOTHING)


def _doubt(rate: int, per_second: int, align: int) -> str:
    """Return how the bytes a second and the rate of a WAV contradict each other; empty if they do not."""
    if not per_second or not align or per_second == rate * align:
        return ""
    return f"its header says {rate} Hz, and by its bytes a second {per_second / align:g} Hz"


def _most(kind: int, align: int, where: tuple[int, int]) -> int:
    """Return how many samples of GSM there are: of an odd number of blocks libsndfile makes one more."""
    return (where[1] - where[0]) // align * _GSM_BLOCK if kind == _GSM and align else sys.maxsize


def _aiff(data: FileBytes) -> Told:
    rate, channels, samples, where, size, doubt, big = 0.0, 0, None, None, None, _NOTHING, True
    inside, whole = partial(chunks.riff, data, ">"), struct.unpack(">I", data.at(4, 4))[0] + 8
    for name, place, length, _ in inside(12):
        if name == b"COMM":
            content = data.at(place, 22)
            channels, samples, _, exponent, mantissa = struct.unpack(">hIhHQ", content[:18])
            power = (exponent & 0x7FFF) - 16383 - 63
            rate = mantissa * 2.0**power if power < 0 else math.inf  # beyond 10^19 Hz
            big = content[18:22] not in (b"sowt", b"SOWT")
        if name == b"SSND":
            begin = place + 8 + struct.unpack(">I", data.at(place, 4))[0]
            known = _known(length, data.size - place)
            size = None if known is None else known - (begin - place)
            where, strange = chunks.extent(data, begin, size, inside, 2, whole)
            doubt = strange or _cut(data, whole, where[1] - where[0], size)
    return Told(rate, channels, samples, size, where, doubt, big=big)


def _au(data: FileBytes, big: bool) -> Told:
    place, size, _, rate, channels = struct.unpack(">IIIII" if big else "<IIIII", data.at(4, 20))
    known = None if size == 0xFFFFFFFF else size
    doubt = "" if place >= 24 else _NOTHING
    if known is not None and 8 < known + 8 < data.size - place:
        doubt = f"its header says {known} bytes of samples, and {data.size - place} follow it"
    return Told(rate, channels, None, known, (place, data.size), doubt, big=big)


def _caf(data: FileBytes) -> Told:
    found, inside = Told(doubt=_NOTHING), partial(chunks.caf, data)
    for name, place, size, _ in inside(8):
        if name == b"desc":
            rate, form, flags, _, each, channels, _ = struct.unpack(">d4sIIIII", data.at(place, 32))
            found = replace(found, rate=rate, channels=channels, of_packet=each, big=form == b"lpcm" and not flags & 2)
        if name == b"pakt" and 24 <= size <= _PACKETS:
            about = data.at(place, size)
            found = replace(found, samples=struct.unpack(">qqii", about[:24])[1], packets=_numbers(about[24:]))
        if name == b"data":
            known = None if size < 0 else max(0, size - 4)
            where, doubt = chunks.extent(data, place + 4, known, inside)
            found = replace(found, size=known, data=where, doubt=doubt)
    return found


def _numbers(content: bytes) -> tuple[int, ...]:
    """Return the numbers of a table of packets: seven bits a byte, of which all but the last have the eighth set."""
    found, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            found.append(number)
            number = 0
    return tuple(found)


def _w64(data: FileBytes) -> Told:
    kind, rate, channels, align, doubt, subtype = 0, 0, 0, 0, "", ""
    inside, whole = partial(chunks.w64, data), int.from_bytes(data.at(16, 8), "little")
    for name, place, size, _ in inside(40):
        if name == b"fmt ":
            kind, channels, rate, per_second, align, bits = struct.unpack("<HHIIHH", data.at(place, 16))
            doubt = _doubt(rate, per_second, align) if kind in _LINEAR else ""
            subtype = _extended(data, place + 24, bits) if kind == _EXTENSIBLE else ""
        if name == b"data":
            known = size or None
            where, strange = chunks.extent(data, place, known, inside, 8, whole)
            most = _most(kind, align, where)
            return Told(rate, channels, None, known, where, doubt or strange, subtype=subtype, most=most)
    return Told(rate, channels, doubt=_NOTHING)


def _extended(data: FileBytes, place: int, bits: int) -> str:
    """Return what samples are by the GUID of an extensible header, which libsndfile passes over in W64; "" for PCM.

    Raises RejectedError for other samples than these have.
    """
    kind = int.from_bytes(data.at(place, 2), "little")
    if kind == 1:
        return ""
    if (kind, bits) not in _SUBTYPES:
        raise RejectedError(f"not decodable: W64 with {bits} bits of the kind {kind:#x}, convert it to FLAC")
    return _SUBTYPES[kind, bits]


def _flac(data: FileBytes) -> Told:
    """The first block, STREAMINFO: 20 bits of rate, 3 of channels, 5 of bits, 36 of samples."""
    packed = int.from_bytes(data.at(18, 8), "big")
    return Told(packed >> 44, (packed >> 41 & 7) + 1, (packed & (1 << 36) - 1) or None)


def _voc(data: FileBytes) -> Told:
    """Creative's: blocks, of which the first with samples is all that libsndfile knows, and hears to the end.

    Raises RejectedError if others follow it.
    """
    place, found = int.from_bytes(data.at(20, 2), "little"), Told(doubt=_NOTHING)
    while (kind := data.at(place, 1)) not in (b"", b"\0"):
        size = int.from_bytes(data.at(place + 1, 3), "little")
        if found.data is not None:
            raise RejectedError("not decodable: VOC of more than one block, convert it to FLAC")
        if kind in _VOC_HEADS:
            begin, known = place + 4 + _VOC_HEADS[kind], size - _VOC_HEADS[kind]
            found = Told(size=known, data=(begin, min(data.size, begin + known)))
        place += 4 + size
    return found
