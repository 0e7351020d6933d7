"""The ``earmark`` command: what is not a stage of the pipeline."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from earmark.errors import explained


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run one command; the exit code is 1 for an error that the user can mend."""
    parser = argparse.ArgumentParser(prog="earmark", description="Music tagging: features, taggers, honest metrics.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    doctor = commands.add_parser("doctor", help="what this machine offers, and whether the pipeline can run on it")
    doctor.set_defaults(run=_doctor)
    inspect = commands.add_parser("inspect", help="what an audio file holds, and how each representation sees it")
    inspect.add_argument("file", type=Path, nargs="+")
    inspect.add_argument("--params", type=Path, default=Path("params.yaml"), help="where representations are set")
    inspect.set_defaults(run=_inspect)
    bench = commands.add_parser("bench", help="speed against kymatio and librosa, measured in the same run")
    if "bench" in (argv if argv is not None else sys.argv)[:2]:  # the peers take seconds to import
        from earmark import bench as benchmarks

        benchmarks.add_arguments(bench)
        bench.set_defaults(run=benchmarks.run)
    args = parser.parse_args(argv)
    with explained():
        return int(args.run(args))


def _doctor(args: argparse.Namespace) -> int:  # noqa: ARG001 - every command takes its arguments
    import torch

    from earmark.decode import workers
    from earmark.extract import device

    print(f"python            {platform.python_version()} on {platform.machine()}")
    for name in (
        "earmark",
        "torch",
        "pytorch-lightning",
        "dvc",
        "h5py",
        "librosa",
        "kymatio",
        "scikit-learn",
        "soundfile",
    ):
        print(f"{name:<17} {_version(name)}")
    print(f"cores             {workers()} for decoding (EARMARK_WORKERS), torch uses {torch.get_num_threads()}")
    found = device()
    shown = torch.cuda.get_device_name(found) if found.type == "cuda" else "no GPU that torch sees"
    print(f"device            {found} (EARMARK_DEVICE), {shown}")
    missing = [name for name in ("music21", "pretty_midi") if _version(name) == "absent"]
    print(
        f"demo corpus       {'can be rendered' if not missing else 'needs ' + ', '.join(missing) + ': earmark[demo]'}"
    )
    return 0


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _inspect(args: argparse.Namespace) -> int:
    import torch

    from earmark import representations
    from earmark.audio import RejectedError, decode, describe
    from earmark.config import load

    settings = load(args.params).representations
    failed = 0
    for path in args.file:
        try:
            print(f"{path}: {describe(path)}")
            for name, setting in settings.items():
                wave = decode(path, setting.rate, setting.samples, 0.0)
                transform = representations.build(
                    setting.kind, rate=setting.rate, n_samples=setting.samples, **setting.options()
                )
                with torch.no_grad():
                    features = transform(torch.from_numpy(wave.wave)[None])[0]
                padded = f", {wave.padded / setting.rate:.1f} s of zeros at the end" if wave.padded else ""
                print(
                    f"  {name:<12} {features.shape[0]} frames x {features.shape[1]} dims, "
                    f"{features.min():.3f} to {features.max():.3f}, mean {features.mean():.3f}{padded}"
                )
        except RejectedError as error:
            print(f"{path}: {error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
