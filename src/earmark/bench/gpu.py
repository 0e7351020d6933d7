"""The three transforms on one GPU: golden errors, milliseconds per clip, kymatio in the same run.

`bench/gpu.sh` runs this. It needs torch, NumPy, SciPy and h5py, and measures kymatio if that is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from earmark import devices
from earmark.bench import peers
from earmark.bench.spectral import N_SAMPLES, RATE, clips
from earmark.files import write_text
from earmark.representations import build
from earmark.representations.base import Representation

BARS = {"scattering": 0.25, "cqt": 0.1, "mel": 0.1}  # ms per clip on one H100 at batch 64
ROUNDS = 7


def milliseconds(work: Callable[[], object], batch: int) -> list[float]:
    """Return `ROUNDS` timings of `work` by CUDA events, in milliseconds per clip."""
    found = []
    for i in range(ROUNDS + 2):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        if i >= 2:
            found.append(start.elapsed_time(end) / batch)
    return found


def captured(transform: Representation, wave: Tensor) -> Callable[[], object]:
    """Capture `transform` of `wave` as a CUDA graph, and return what replays it."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            transform.compute(wave)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        transform.compute(wave)
    return graph.replay


def streamed(transform: Representation, host: Tensor, batches: int) -> None:
    """Transform `batches` batches from and to pinned memory, with the copies beside the computation."""
    copies = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    compute = torch.cuda.current_stream()
    result = torch.empty(len(host), transform.n_frames, transform.n_dims, pin_memory=True)

    def upload() -> tuple[Tensor, torch.cuda.Event]:
        with torch.cuda.stream(copies):
            wave = host.to("cuda", non_blocking=True)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(copies)
        return wave, done

    following = upload()
    for i in range(batches):
        wave, ready = following
        if i + 1 < batches:
            following = upload()
        compute.wait_event(ready)
        wave.record_stream(compute)
        features = transform.compute(wave)
        copies.wait_stream(compute)
        with torch.cuda.stream(copies):
            result.copy_(features, non_blocking=True)
        features.record_stream(copies)
    torch.cuda.synchronize()


def golden_errors(folder: Path) -> dict[str, list[float]]:
    """Return for each padding the relative errors of the orders against ScatNet's output for the closed-form signal."""
    spec = importlib.util.spec_from_file_location("make_signal", folder / "make_signal.py")
    if spec is None or spec.loader is None or not (folder / "scatnet_signal.npz").exists():
        return {}
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    wave = torch.tensor(module.signal(), dtype=torch.float32, device="cuda")[None]
    golden = np.load(folder / "scatnet_signal.npz")["S"]
    errors = {}
    for padding in ("exact", "fast"):
        s = build("scattering", rate=RATE, n_samples=N_SAMPLES, padding=padding, normalization="none").cuda()
        S, order = s(wave)[0].cpu().numpy().T, np.asarray(s.axes["order"])
        differences = ((S[order == i] - golden[order == i], golden[order == i]) for i in range(3))
        errors[padding] = [float(np.linalg.norm(d) / np.linalg.norm(g)) for d, g in differences]
    return errors


def measure(batch: int, golden: Path) -> Iterator[dict[str, Any]]:
    """Yield a row per measurement: its name, its milliseconds per clip, and its bar if it has one."""
    yield {"name": "golden errors (S0, S1, S2)", **golden_errors(golden)}
    host = torch.from_numpy(clips(batch)).pin_memory()
    wave = host.cuda()
    for kind, bar in BARS.items():
        options = {"normalization": "none"} if kind == "scattering" else {}
        transform = build(kind, rate=RATE, n_samples=N_SAMPLES, **options).cuda()
        cpu = build(kind, rate=RATE, n_samples=N_SAMPLES, **options)(host[:1])[0]
        difference = float((transform(wave[:1])[0].cpu() - cpu).norm() / cpu.norm())
        eager = milliseconds(lambda: transform.compute(wave), batch)  # noqa: B023 - called at once
        yield {"name": f"{kind}, eager", "ms": eager, "bar": bar, "cpu_gpu_difference": difference}
        yield {"name": f"{kind}, CUDA graph", "ms": milliseconds(captured(transform, wave), batch), "bar": bar}
        flow = milliseconds(lambda: streamed(transform, host, 8), 8 * batch)  # noqa: B023 - called at once
        yield {"name": f"{kind}, from and to pinned memory", "ms": flow}
        torch.cuda.empty_cache()
    if importlib.util.find_spec("kymatio") is not None:
        peer = peers.kymatio_scattering(N_SAMPLES, **peers.KYMATIO).cuda()
        small = wave[: min(batch, 8)]
        yield {"name": f"kymatio torch, batch {len(small)}", "ms": milliseconds(lambda: peer(small), len(small))}


def main() -> int:
    """Measure, print a table, and write JSON if asked to. Return the exit status, 1 if there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--golden", type=Path, default=Path("tests/golden"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not torch.cuda.is_available() or (where := devices.device()).type != "cuda":
        sys.stderr.write("no CUDA device: nothing measured\n")
        return 1
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.cuda.set_device(where)
    rows = [{"name": "device", "device": torch.cuda.get_device_name(), "torch": torch.__version__, "batch": args.batch}]
    sys.stdout.write(f"{rows[0]['device']}, torch {torch.__version__}, batch {args.batch}, {N_SAMPLES} samples\n")
    for row in measure(args.batch, args.golden):
        rows.append(row)
        sys.stdout.write(line(row) + "\n")
        sys.stdout.flush()
    if args.json is not None:
        write_text(args.json, json.dumps(rows, indent=2) + "\n")
    return 0


def line(row: dict[str, Any]) -> str:
    """Return one measurement as a line of text."""
    if "ms" not in row:
        return f"{row['name']}: " + ", ".join(
            f"{padding} " + " ".join(f"{e:.1e}" for e in cast(list[float], errors))
            for padding, errors in row.items()
            if padding != "name"
        )
    ms = row["ms"]
    text = f"{row['name']:<42}{statistics.median(ms):>9.4f} ms per clip  ({min(ms):.4f} to {max(ms):.4f})"
    return text + (f"  bar {row['bar']}" if "bar" in row else "")


if __name__ == "__main__":
    sys.exit(main())
