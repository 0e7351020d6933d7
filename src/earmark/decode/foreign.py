"""Files that are no audio, or none that can be decoded here, by their first bytes: what a person would call them."""

from __future__ import annotations

from earmark.decode.bytes_of_file import FileBytes

_ELSEWHERE = "which cannot be decoded here: convert it to FLAC"
_DTS = (
    b"\x7f\xfe\x80\x01",
    b"\xfe\x7f\x01\x80",
    b"\x1f\xff\xe8\x00",
    b"\xff\x1f\x00\xe8",
)  # its words of 16 or 14 bits
_KINDS = {
    b"\x30\x26\xb2\x75": f"Windows Media, {_ELSEWHERE}",
    b"\x1a\x45\xdf\xa3": f"Matroska or WebM, {_ELSEWHERE}",
    b"wvpk": f"WavPack, {_ELSEWHERE}",
    b"MAC ": f"Monkey's Audio, {_ELSEWHERE}",
    b"#!AMR": f"AMR, {_ELSEWHERE}",
    b"MPCK": f"Musepack, {_ELSEWHERE}",
    **dict.fromkeys(_DTS, f"DTS, {_ELSEWHERE}"),
    b"FLV\x01": f"Flash video, {_ELSEWHERE}",
    b"MThd": "MIDI, notes and no audio",
    b"PK\x03\x04": "a ZIP archive, no audio",
    b"\x1f\x8b": "a gzip archive, no audio",
    b"Rar!": "a RAR archive, no audio",
    b"%PDF": "PDF, no audio",
    b"\x89PNG": "a PNG picture, no audio",
    b"\xff\xd8\xff": "a JPEG picture, no audio",
    b"GIF8": "a GIF picture, no audio",
    b"\x00\x05\x16\x07": "what macOS keeps beside a file (AppleDouble), no audio",
    b"version https://git-lfs": "a pointer of Git LFS, no audio: `git lfs pull` brings the file",
}
_MARKUP = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<script", b"<!--")
_LOOKED_AT = 512
_TEXT = frozenset(range(32, 127)) | {9, 10, 13} | set(range(128, 256))


def kind(data: FileBytes) -> str:
    """Return what a file is that is no audio to be decoded here; empty if it may be some."""
    start = data.at(0, _LOOKED_AT)
    for magic, name in _KINDS.items():
        if start.startswith(magic):
            return name
    if start[4:8] == b"ftyp":
        return f"MPEG-4 (m4a, mp4), {_ELSEWHERE}"
    if len(start) > 1 and start[0] == 0xFF and start[1] & 0xF6 == 0xF0:
        return f"AAC, {_ELSEWHERE}"
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
        return "HTML or XML text, no audio"
    if not start.strip(b"\0"):
        return "zeros alone, no audio" if not data.at(0, 1 << 16).strip(b"\0") else ""
    return "text, no audio" if _is_text(start) else ""


def _is_text(start: bytes) -> bool:
    if start.startswith((b"fLaC", b"OggS", b"RIFF", b"FORM", b"ID3")) or not _TEXT.issuperset(start):
        return False
    try:
        start[: max(1, len(start) - 3)].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
