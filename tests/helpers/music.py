"""Synthetic music, and annotations in MagnaTagATune's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf


def tone(seconds: float, hz: float, rate: int = 16_000, level: float = 0.3) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hz * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))).astype(np.float32)


def write_mp3(path: Path, wave: np.ndarray, rate: int = 16_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, wave, rate, format="MP3", bitrate_mode="CONSTANT", compression_level=0.84)
    return path


def write_annotations(path: Path, tags: list[str], rows: list[tuple[str, list[int], str]]) -> Path:
    lines = [["clip_id", *tags, "mp3_path"]] + [[i, *map(str, values), p] for i, values, p in rows]
    path.write_text("\n".join("\t".join(f'"{cell}"' for cell in line) for line in lines) + "\n", encoding="utf-8")
    return path


def write_songs(where: Path, songs: int = 6, seconds: float = 2.0) -> tuple[Path, Path]:
    """Write songs of two clips each over the folders 0, 1, c and d; return the folder of audio and the annotations."""
    rows: list[tuple[str, list[int], str]] = []
    for song in range(songs):
        folder = "01cd"[song % 4] if song < 4 else "01"[song % 2]
        for part in range(2):
            high = (song + part) % 2
            hz = (300, 2400)[high] * (1 + 0.01 * song)
            path = f"{folder}/artist_{song}-album-0{song}-title-{29 * part}-{29 * part + 29}.mp3"
            write_mp3(where / "audio" / path, tone(seconds, hz, level=0.1 + 0.2 * part))
            rows.append((str(10 + 2 * song + part), [high, 1 - high, part], path))
    return where / "audio", write_annotations(where / "annotations_final.csv", ["high", "low", "loud"], rows)


def music(n, rate):
    t = np.arange(n) / rate
    rng = np.random.default_rng(3)
    tones = sum(np.sin(2 * np.pi * 220 * h * t) / h for h in range(1, 12)) * np.exp(-3 * np.mod(t, 0.7))
    return (0.2 * tones + 0.02 * rng.standard_normal(n)).astype(np.float32)
