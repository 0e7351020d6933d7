"""Zip archives of random files, in parts."""

from __future__ import annotations

import io
import zipfile

import numpy as np

from earmark.download.archive import parts_of

FILES = {f"{i:x}/clip {i} 'quoted'.mp3": np.random.default_rng(i).bytes(20_000 + i) for i in range(6)}


def packed(files=FILES, compression=zipfile.ZIP_STORED):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression) as content:
        for name, data in files.items():
            content.writestr(name, data)
    return held.getvalue()


def parts(folder, data, number=3):
    edges = [len(data) * i // number for i in range(number + 1)]
    for i in range(number):
        (folder / f"mp3.zip.{i + 1:03d}").write_bytes(data[edges[i] : edges[i + 1]])
    return parts_of(folder / "mp3.zip.001")
