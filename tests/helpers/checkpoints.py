"""Checkpoints as TensorFlow writes them, wheels that hold them, and musicnn's network in NumPy."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from earmark.weights.checkpoint import crc32c

Arrays = Mapping[str, np.ndarray]


# --- the format


def varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(8 * number) + varint(value)
    return varint(8 * number + 2) + varint(len(value)) + value


def entry(array: np.ndarray, offset: int, number: int = 1, part: int = 0) -> bytes:
    """A BundleEntryProto; zeros are left out, as protocol buffers do."""
    shape = b"".join(field(2, field(1, n)) for n in array.shape)
    told = field(1, number) + field(2, shape) + (field(3, part) if part else b"")
    told += (field(4, offset) if offset else b"") + field(5, array.nbytes)
    return told + varint(8 * 6 + 5) + struct.pack("<I", 7)


def block(rows: list[tuple[bytes, bytes]], restart: int = 16) -> bytes:
    """A block of a table, with its trailer: keys share their beginnings, but every ``restart``-th."""
    content, starts, last = b"", [], b""
    for number, (key, value) in enumerate(rows):
        shared = 0
        if number % restart == 0:
            starts.append(len(content))
        else:
            shared = next(
                (i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b), min(len(key), len(last))
            )
        content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    content += b"".join(struct.pack("<I", s) for s in starts or [0]) + struct.pack("<I", len(starts or [0]))
    return content + trailer(content)


def trailer(content: bytes, kind: int = 0) -> bytes:
    crc = crc32c(content + bytes([kind]))
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return bytes([kind]) + struct.pack("<I", masked)


def table(rows: list[tuple[bytes, bytes]], per_block: int = 20) -> bytes:
    content, places = b"", []
    for first in range(0, len(rows), per_block):
        made = block(rows[first : first + per_block])
        places.append((rows[min(first + per_block, len(rows)) - 1][0], varint(len(content)) + varint(len(made) - 5)))
        content += made
    meta = varint(len(content)) + varint(len(block([])) - 5)
    content += block([])
    made = block(places, restart=1)
    footer = (meta + varint(len(content)) + varint(len(made) - 5)).ljust(40, b"\0")
    return content + made + footer + struct.pack("<Q", 0xDB4775248B80FB57)


def checkpoint(arrays: Arrays, **changed: int) -> tuple[bytes, bytes]:
    """The index and the data of a checkpoint. changed: ``number`` or ``part`` of every entry, untruly."""
    rows, data = [(b"", field(1, 1))], b""
    for name in sorted(arrays):
        array = np.asarray(arrays[name], "<f4")
        rows.append((name.encode(), entry(array, len(data), **changed)))
        data += array.tobytes()
    return table(rows), data


def write_checkpoint(folder: Path, arrays: Arrays) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip((".index", ".data-00000-of-00001"), checkpoint(arrays), strict=True):
        (folder / name).write_bytes(content)
    return folder


def write_wheel(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A wheel musicnn 0.1.0 that pip takes, with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    about, wheel = "musicnn-0.1.0.dist-info", folder / "musicnn-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: musicnn\nVersion: 0.1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return wheel


# --- musicnn


def musicnn_arrays(
    tags: int, bands: int, timbre: int, rhythm: int, middle: int, units: int, lengths: tuple[int, ...] = (128, 64, 32)
) -> dict[str, np.ndarray]:
    """Weights by TensorFlow's names, drawn; with those that only a training needs."""
    drawn, found, front = np.random.default_rng(5), {}, 2 * timbre + 3 * rhythm
    shapes = [(7, int(0.4 * bands), 1, timbre), (7, int(0.7 * bands), 1, timbre)]
    shapes += [(length, 1, 1, rhythm) for length in lengths]
    shapes += [(7, width, 1, middle) for width in (front, middle, middle)]
    pooled = 2 * (front + 3 * middle)
    layers = {f"conv2d_{i}" if i else "conv2d": shape for i, shape in enumerate(shapes)}
    layers |= {"dense": (pooled, units), "dense_1": (units, tags)}
    for name, shape in layers.items():
        found[f"{name}/kernel"] = drawn.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
        found[f"{name}/bias"] = 0.1 * drawn.normal(size=shape[-1])
    widths = [1, timbre, timbre, rhythm, rhythm, rhythm, middle, middle, middle, pooled, units]
    for i, width in enumerate(widths):
        name = f"batch_normalization_{i}" if i else "batch_normalization"
        found[f"{name}/gamma"], found[f"{name}/beta"] = 1 + 0.1 * drawn.normal(size=(2, width))
        found[f"{name}/moving_mean"] = 0.3 * drawn.normal(size=width)
        found[f"{name}/moving_variance"] = 10 ** drawn.uniform(-2, 0, size=width)  # where an epsilon is seen
    found |= {"dense/kernel/Adam": np.ones(3), "dense/kernel/Adam_1": np.ones(3), "beta1_power": np.array(0.5)}
    return {name: array.astype(np.float32) for name, array in found.items()}


def musicnn(arrays: Arrays, x: np.ndarray) -> dict[str, np.ndarray]:
    """The layers of the authors' network, written as they did, in float64; x: (batch, frames, bands).

    Images are (batch, frames, width, channels), as TensorFlow has them.
    """
    a = {name: array.astype(np.float64) for name, array in arrays.items()}

    def norm(values, number):
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        scale = a[f"{name}/gamma"] / np.sqrt(a[f"{name}/moving_variance"] + 0.001)
        return (values - a[f"{name}/moving_mean"]) * scale + a[f"{name}/beta"]

    def convolve(values, number):
        """Same length over time, as TensorFlow pads; no padding over the width; ReLU."""
        name = f"conv2d_{number}" if number else "conv2d"
        kernel = a[f"{name}/kernel"]
        height, width = kernel.shape[:2]
        before = (height - 1) // 2
        padded = np.pad(values, ((0, 0), (before, height - 1 - before), (0, 0), (0, 0)))
        parts = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
        return np.maximum(np.einsum("btwchk,hkcf->btwf", parts, kernel) + a[f"{name}/bias"], 0)

    normalised = norm(x[..., None], 0)
    banks = [norm(convolve(normalised, i), i + 1).max(axis=2) for i in range(5)]
    front = np.concatenate(banks, axis=2)
    first = norm(convolve(front[..., None], 5), 6)[:, :, 0]
    second = norm(convolve(first[..., None], 6), 7)[:, :, 0] + first
    third = norm(convolve(second[..., None], 7), 8)[:, :, 0] + second
    maps = np.concatenate([front, first, second, third], axis=2)
    flat = np.stack([maps.max(axis=1), maps.mean(axis=1)], axis=2).reshape(len(x), -1)  # they alternate
    hidden = np.maximum(norm(flat, 9) @ a["dense/kernel"] + a["dense/bias"], 0)
    penultimate = norm(hidden, 10)
    return {
        "timbral": np.concatenate(banks[:2], axis=2), "temporal": np.concatenate(banks[2:], axis=2), "cnn1": first,
        "cnn2": second, "cnn3": third, "max_pool": maps.max(axis=1), "mean_pool": maps.mean(axis=1),
        "penultimate": penultimate, "logits": penultimate @ a["dense_1/kernel"] + a["dense_1/bias"],
    }  # fmt: skip
