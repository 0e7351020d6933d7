"""The machine: Python, the packages, the device and its memory, the decoder."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import soundfile
import torch

from earmark import devices
from earmark.decode.pool import workers
from earmark.doctor.lines import Line
from earmark.storage import memory

SHOWN = ("earmark", "pytorch-lightning", "dvc", "numpy", "h5py", "scikit-learn")
TESTED = ((3, 11), (3, 13))  # versions of Python, from and to
LITTLE = 2**31  # bytes; below this, batches are small and other programs may be in the way


def python() -> Iterator[Line]:
    """Tell Python's version."""
    here, text = sys.version_info[:2], f"{platform.python_version()} on {platform.machine()}"
    if TESTED[0] <= here <= TESTED[1]:
        yield Line("python", "ok", text)
    else:
        span = " to ".join(".".join(map(str, version)) for version in TESTED)
        yield Line("python", "warning", f"{text}; tested are {span}", "make an environment with one of these")


def packages() -> Iterator[Line]:
    """Tell the versions of what the pipeline runs on, what the demo needs, and whether kymatio goes with SciPy."""
    for name in SHOWN:
        found = version(name)
        yield Line(name, "error" if found is None else "ok", found or "absent", "" if found else f"pip install {name}")
    lacking = [name for name in ("music21", "pretty_midi") if version(name) is None]
    if lacking:
        yield Line("demo corpus", "warning", f"needs {', '.join(lacking)}", "pip install 'earmark[demo]'")
    else:
        yield Line("demo corpus", "ok", "can be rendered")
    yield _kymatio()


def _kymatio() -> Line:
    """Tell whether kymatio, with which the benchmarks and tests compare, can be imported as its users do."""
    together = f"{version('kymatio')} with scipy {version('scipy')}"
    if version("kymatio") is None:
        return Line("kymatio", "ok", "absent; only the benchmarks and tests need it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("kymatio.torch")
    except ImportError as error:
        why = str(error).partition(" (")[0]
        text = f"{together}: `import kymatio.torch` fails ({why}); the benchmarks go round it, the rest needs none"
        return Line("kymatio", "warning", text, "pip install 'scipy<1.17', if you use kymatio yourself")
    return Line("kymatio", "ok", f"{together}; only the benchmarks and tests need it")


def device() -> Iterator[Line]:
    """Tell what computes, its memory, and whether a GPU lies idle. Raises EarmarkError as `devices` does."""
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for the CPU"
    if torch.version.cuda is None and Path("/proc/driver/nvidia/version").exists():
        text = f"{torch.__version__} {built}, but here is an NVIDIA GPU"
        yield Line("torch", "warning", text, "install torch for CUDA: https://pytorch.org/get-started/locally")
    else:
        yield Line("torch", "ok", f"{torch.__version__} {built}, {torch.get_num_threads()} threads")
    found = devices.device()
    free = devices.free_bytes(found)
    text = f"{found}, {devices.kind(found)} (EARMARK_DEVICE); {_gb(free)} free of {_gb(_total(found))}"
    little = "close other programs; below 2 GB batches are small" if free < LITTLE else ""
    yield Line("device", "warning" if little else "ok", text, little)
    if found.type != "cpu":
        yield Line("memory", "ok", f"{_gb(memory.available())} free")


def _total(where: torch.device) -> int:
    """Return the memory of a device, or of the machine."""
    if where.type == "cuda":
        return int(torch.cuda.mem_get_info(where)[1])
    import psutil

    return int(psutil.virtual_memory().total)


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def decoder() -> Iterator[Line]:
    """Tell what decodes, and how many files at once. Raises EarmarkError if EARMARK_WORKERS is no number."""
    with_mp3 = "MP3" in soundfile.available_formats()
    text = f"libsndfile {soundfile.__libsndfile_version__}, soundfile {version('soundfile')}, soxr {version('soxr')}"
    if with_mp3:
        yield Line("decoder", "ok", text)
    else:
        yield Line(
            "decoder", "error", f"{text}: this libsndfile reads no MP3",
            "install libsndfile 1.1 or newer, or a wheel of soundfile that brings it: pip install -U soundfile",
        )  # fmt: skip
    yield Line("workers", "ok", f"{workers()} files are decoded at once (EARMARK_WORKERS)")


def version(name: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
