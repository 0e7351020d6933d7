"""How long it takes until a command begins its work, and what predict takes for a song after that."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from earmark import representations
from earmark.bench.spectral import clips, summary
from earmark.config import WaveformConfig
from earmark.features.standardize import Standardizer
from earmark.models import networks
from earmark.models.saved import SavedModel
from earmark.storage import provenance
from earmark.systems.published import SYSTEMS

SYSTEM, TAGS = "scat-5l-512h-gru", 50
SECONDS, SONG_RATE = 240, 44_100
_RUN = "from earmark.cli import main; main({})"
_OPENED = "from pathlib import Path; from earmark import predict_files, predict; predict.opened(Path('{}'))"
OPENED, SONG, AFTER = "predict, until it reads", "predict, 4 minutes of MP3", "the song alone"
# The limits on an idle machine of two cores: of the processor's seconds, or of those of the clock.
LIMITS = {
    "earmark --help": ("cpu", 0.15), "earmark predict --help": ("cpu", 0.15), "what predict imports": ("cpu", 2.5),
    OPENED: ("wall", 2.5), AFTER: ("wall", 2.0),
}  # fmt: skip


def started(model: Path, song: Path) -> dict[str, tuple[str, ...]]:
    """Return what is started: the arguments of Python, by the names of the rows."""
    return {
        "python": ("-c", "pass"),
        "import earmark": ("-c", "import earmark"),
        "earmark --help": ("-c", _RUN.format(["--help"])),
        "earmark predict --help": ("-c", _RUN.format(["predict", "--help"])),
        "what predict imports": ("-c", "import earmark.predict_files"),
        OPENED: ("-c", _OPENED.format(model)),
        SONG: ("-c", _RUN.format(["predict", "--model", str(model), str(song)])),
    }


def bench(*, rounds: int) -> dict[str, Any]:
    """Start each command ``rounds`` times, in turn, and return CPU and wall-clock seconds as a JSON-ready dict.

    A first round, which fills the system's cache of files and earmark's of digests, is not counted.
    """
    with tempfile.TemporaryDirectory() as folder:
        model, song = Path(folder) / "model.safetensors", Path(folder) / "song.mp3"
        write_model(model)
        write_song(song)
        commands = started(model, song)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, arguments in commands.items():
                once = _once(arguments)
                if number:
                    found[name].append(once)
    if {OPENED, SONG} <= set(found):
        pairs = zip(found[OPENED], found[SONG], strict=True)
        found[AFTER] = [(cpu - before, wall - earlier) for (before, earlier), (cpu, wall) in pairs]
    rows = {
        name: {"cpu": summary([cpu for cpu, _ in times]), "wall": summary([wall for _, wall in times])}
        for name, times in found.items()
    }
    return {"kind": "start", "rows": rows}


def write_model(file: Path) -> None:
    """Write a model of a published system, with the weights that it begins with, which hears whole songs."""
    system = SYSTEMS[SYSTEM]
    config = system.representation.config()
    heard = representations.of(config, SYSTEM)
    options = networks.resolve(system.family, dict(system.options), SYSTEM)
    network = networks.network(system.family, TAGS, heard.n_frames, heard.n_dims, options)
    SavedModel(
        experiment=SYSTEM,
        network={"family": system.family, "options": options},
        frames=heard.n_frames,
        dims=heard.n_dims,
        network_frames=heard.n_frames,
        representation=config,
        waveform=WaveformConfig(samples=config.samples, policy="segments"),
        tags=tuple(f"tag {number}" for number in range(TAGS)),
        thresholds=(None,) * TAGS,
        standardizer=Standardizer(np.zeros(heard.n_dims, np.float32), np.ones(heard.n_dims, np.float32), 1),
        exclusive=False,
        training={"excerpt_frames": heard.n_frames, "excerpts": 1},
        code={"features": provenance.digest(representations.consumer(config))},
        makers={"torch": torch.__version__},
        weights=network.state_dict(),
    ).save(file)


def write_song(file: Path) -> None:
    """Write some minutes of stereo, as a song comes."""
    (wave,) = clips(1, SECONDS * SONG_RATE, SONG_RATE)
    soundfile.write(file, np.stack([wave, wave[::-1]], axis=1), SONG_RATE, format="MP3")


def _once(arguments: Sequence[str]) -> tuple[float, float]:
    """Run Python with these arguments; return its CPU seconds, and the seconds until it had ended."""
    before, begun = _cpu(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return _cpu() - before, time.perf_counter() - begun


def _cpu() -> float:
    """Return the CPU seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(result: dict[str, Any]) -> str:
    """Return the result of ``bench`` as text, medians in seconds."""
    lines = [f"{'':24} {'CPU':>8} {'wall':>8}  limit on an idle machine"]
    for name, row in result["rows"].items():
        clock, limit = LIMITS.get(name, ("", 0.0))
        told = f"  {limit:.2f} s of {clock.upper() if clock == 'cpu' else clock}" if clock else ""
        lines.append(f"{name:24} {row['cpu']['median']:>6.2f} s {row['wall']['median']:>6.2f} s{told}")
    return "\n".join(lines) + "\n"
