"""The ``earmark`` command: what is not a stage of the pipeline."""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from earmark.environment import positive, whole
from earmark.errors import EarmarkError, explained


def command_line(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Return the commands and their options; those of ``bench`` if ``argv`` asks for it."""
    parser = argparse.ArgumentParser(prog="earmark", description="Music tagging: features, taggers, honest metrics.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    doctor = commands.add_parser("doctor", help="what this machine offers, and whether the pipeline can run on it")
    doctor.add_argument("--params", type=Path, default=Path("params.yaml"), help="settings to check, if they are there")
    doctor.set_defaults(run=_doctor)
    inspect = commands.add_parser("inspect", help="what an audio file holds, and how each representation sees it")
    inspect.add_argument("file", type=Path, nargs="+")
    inspect.add_argument("--params", type=Path, default=Path("params.yaml"), help="where representations are set")
    inspect.set_defaults(run=_inspect)
    predict = commands.add_parser("predict", help="tags of any audio file by a trained experiment")
    predict.add_argument("file", type=Path, nargs="+")
    predict.add_argument("--model", help="an experiment of params.yaml (default: its first one)")
    predict.add_argument("--json", action="store_true", help="print JSON in place of tables")
    predict.add_argument("--params", type=Path, default=Path("params.yaml"))
    predict.add_argument("--data", type=Path, default=Path("data"), help="the folder that the pipeline fills")
    predict.set_defaults(run=_predict)
    errors = commands.add_parser("errors", help="the worst mistakes of an experiment on the test split")
    errors.add_argument("experiment", help="an experiment of params.yaml")
    errors.add_argument("--tag", help="its mistakes with this tag alone")
    errors.add_argument("--csv", type=Path, metavar="FILE", help="write all of them into a CSV")
    errors.add_argument("--top", type=whole, default=10, metavar="N", help="rows per table (default: %(default)s)")
    errors.add_argument("--params", type=Path, default=Path("params.yaml"))
    errors.add_argument("--data", type=Path, default=Path("data"), help="the folder that the pipeline fills")
    errors.set_defaults(run=_errors)
    papers = commands.add_parser("papers", help="train every published system on the configured corpus")
    papers.add_argument("system", nargs="*", help="names of earmark.systems.published (default: all)")
    papers.add_argument("--recipe", choices=("published", "quick"), default="quick", help="default: %(default)s")
    papers.add_argument("--labels", help="an entry of labels in params.yaml (default: its first one)")
    papers.add_argument("--minutes", type=positive, help="a system trains no longer than this (default: no limit)")
    papers.add_argument("--params", type=Path, default=Path("params.yaml"))
    papers.add_argument("--data", type=Path, default=Path("data"))
    papers.add_argument("--metrics", type=Path, default=Path("metrics/papers"))
    papers.set_defaults(run=_papers)
    leaderboard = commands.add_parser("leaderboard", help="the experiments of the workspace and of DVC, the best first")
    leaderboard.add_argument("--baseline", help="what those of params.yaml are compared with (default: its first one)")
    leaderboard.add_argument("--markdown", action="store_true", help="print a Markdown table")
    leaderboard.add_argument("--csv", type=Path, metavar="FILE", help="write the rows to a CSV file, too")
    leaderboard.set_defaults(run=_leaderboard)
    compare = commands.add_parser("compare", help="whether the experiments here differ from those of another revision")
    compare.add_argument("revision", help="a branch, tag or hash, HEAD~1, or an experiment of DVC")
    compare.add_argument("--experiment", nargs="+", default=[], metavar="NAME", help="default: those that both have")
    compare.add_argument("--markdown", action="store_true", help="print it for a pull request")
    compare.add_argument("--params", type=Path, default=Path("params.yaml"))
    compare.add_argument("--data", type=Path, default=Path("data"), help="the folder that the pipeline fills")
    compare.add_argument("--metrics", type=Path, default=Path("metrics"))
    compare.set_defaults(run=_compare)
    corpus = commands.add_parser("corpus", help="check the configured corpus, or fetch MagnaTagATune")
    about = corpus.add_subparsers(required=True, metavar="WHAT")
    check = about.add_parser("check", help="what is there, what would be rejected, what would stop the pipeline")
    check.add_argument("--params", type=Path, default=Path("params.yaml"))
    check.set_defaults(run=_check)
    fetch = about.add_parser("magnatagatune", help="unpack MagnaTagATune's parts, and fetch them first if asked to")
    fetch.add_argument("--download", action="store_true", help="fetch what is not there yet")
    fetch.add_argument("--to", type=Path, default=Path("data/magnatagatune"), help="default: %(default)s")
    fetch.add_argument("--base-url", default=None, help="where the files lie, in place of the usual address")
    fetch.set_defaults(run=_magnatagatune)
    waveforms = commands.add_parser("waveforms", help="how much the decoded waveforms take on this machine")
    waveforms.add_argument("--prune", action="store_true", help="delete those that no index of the data folder names")
    waveforms.add_argument("--data", type=Path, default=Path("data"), help="the folder that the pipeline fills")
    waveforms.set_defaults(run=_waveforms)
    bench = commands.add_parser("bench", help="speed against kymatio and librosa, measured in the same run")
    if "bench" in argv[:1]:  # the peers take seconds to import
        from earmark.bench import command

        command.add_arguments(bench)
        bench.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run one command; the exit code is 1 for an error that the user can mend."""
    argv = sys.argv[1:] if argv is None else argv
    args = command_line(argv).parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # the name of a file need not be text
            stream.reconfigure(errors="backslashreplace")
    with explained():
        return int(args.run(args))


def _doctor(args: argparse.Namespace) -> int:
    import torch

    from earmark import devices
    from earmark.config import load
    from earmark.decode.corpus import workers
    from earmark.training import validation

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
    try:
        found = devices.device()
        shown = f"{found} (EARMARK_DEVICE), {devices.kind(found)}, {devices.free_bytes(found) / 2**30:.1f} GB free"
        failed = 0
    except EarmarkError as error:
        shown, failed = f"error: {error}", 1
    print(f"device            {shown}")
    missing = [name for name in ("music21", "pretty_midi") if _version(name) == "absent"]
    print(
        f"demo corpus       {'can be rendered' if not missing else 'needs ' + ', '.join(missing) + ': earmark[demo]'}"
    )
    if not args.params.exists():
        print(f"settings          {args.params} does not exist: no project here, or --params names another one")
        return failed
    try:
        validation.require(load(args.params))
        print(f"settings          {args.params} can be used")
    except EarmarkError as error:
        print(f"settings          error: {error}")
        failed = 1
    return failed


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _predict(args: argparse.Namespace) -> int:
    from earmark import predict
    from earmark.decode.audio import RejectedError

    predictor = predict.open_predictor(args.params, args.model, args.data)
    found, failed = [], {}
    for path in args.file:
        try:
            found.append(predictor.predict(path))
            if not args.json:
                print(found[-1].table())
        except (RejectedError, UnicodeEncodeError) as error:
            failed[str(path)] = _why_not(error)
            print(f"{path}: {_why_not(error)}", file=sys.stderr)
    if args.json:
        print(predict.as_json(found, failed), end="")
    return 1 if failed else 0


def _errors(args: argparse.Namespace) -> int:
    from earmark.config import load
    from earmark.evaluation.examine import examine

    found = examine(load(args.params), args.data, args.experiment, args.tag)
    if args.csv is not None:
        found.write(args.csv)
    print(found.text(args.top), end="")
    return 0


def _papers(args: argparse.Namespace) -> int:
    from earmark.config import load
    from earmark.papers.run import Papers, chosen
    from earmark.systems import published

    names = [system.name for system in chosen(args.system or list(published.SYSTEMS))]
    papers = Papers.open(load(args.params), args.labels, args.recipe, args.minutes, args.data, args.metrics)
    if len(names) == 1:
        print(papers.run(names[0]), flush=True)
        return 0
    # Each in a process of its own, which gives all its memory back; one that fails does not stop the others.
    options = [
        "--recipe",
        args.recipe,
        "--labels",
        papers.labels,
        "--params",
        args.params,
        "--data",
        args.data,
        "--metrics",
        args.metrics,
    ]
    options += [] if args.minutes is None else ["--minutes", args.minutes]
    command = [sys.executable, "-m", "earmark.cli", "papers", *map(str, options)]
    return max([_in_a_process(command, name) for name in names])


def _in_a_process(command: list[str], name: str) -> int:
    """Run a command for one system. Return its exit code; print a line if it had no chance to say why it ended."""
    code = subprocess.run([*command, name], check=False).returncode
    if code < 0:
        print(f"{name}: killed by signal {-code}{', of lack of memory perhaps' if code == -9 else ''}", file=sys.stderr)
    return abs(code)


def _leaderboard(args: argparse.Namespace) -> int:
    from earmark.report import dvc_experiments

    print(dvc_experiments.ranked(Path(), args.baseline, args.csv).text(args.markdown), end="")
    return 0


def _compare(args: argparse.Namespace) -> int:
    from earmark.evaluation import revisions

    places = args.params, args.data, args.metrics, Path()
    print(revisions.compare_with(args.revision, args.experiment, *places, args.markdown), end="")
    return 0


def _check(args: argparse.Namespace) -> int:
    from earmark.config import load
    from earmark.decode.check import check
    from earmark.training import validation

    found = check(load(args.params), validation.require)
    print(found.text(), end="")
    return 1 if found.stops else 0


def _magnatagatune(args: argparse.Namespace) -> int:
    from earmark.download import magnatagatune

    print(magnatagatune.prepare(args.to, args.download, args.base_url), end="")
    return 0


def _waveforms(args: argparse.Namespace) -> int:
    from earmark.decode import waveform_store
    from earmark.decode.index import Index, indices

    named = {
        folder: {entry.fingerprint for entry in Index.read(folder).shards.values()} for folder in indices(args.data)
    }
    keep = set[str]().union(*named.values())
    size = waveform_store.size
    for store in sorted({waveform_store.root(folder) for folder in (args.data / "waveforms/any", *named)}):
        held = waveform_store.held(store)
        print(f"{store}: {len(held)} shards, {size(held.values())} ({waveform_store.VARIABLE})")
        for folder, marks in named.items():
            here = [path for mark, path in held.items() if mark in marks]
            print(f"  {folder}: {len(here)} of {len(marks)} shards, {size(here)}")
        others = [path for mark, path in held.items() if mark not in keep]
        print(f"  others: {len(others)} shards, {size(others)}; of other branches, settings or working copies")
        if args.prune:
            print(f"  deleted {len(waveform_store.prune(store, keep))} shards; those that are needed again come back")
    return 0


def _inspect(args: argparse.Namespace) -> int:
    import torch

    from earmark import representations
    from earmark.config import load
    from earmark.decode.audio import RejectedError, decode, describe, from_stored, to_stored

    config = load(args.params)
    settings = config.representations
    transforms = {name: representations.of(setting, name) for name, setting in settings.items()}
    failed = 0
    for path in args.file:
        try:
            print(f"{path}: {describe(path)}")
            for name, transform in transforms.items():
                setting = settings[name]
                wave = decode(path, setting.rate, setting.samples, 0.0)
                heard = from_stored(to_stored(wave.waves, config.waveforms[setting.rate].dtype))
                with torch.no_grad():
                    features = transform(torch.from_numpy(heard))[0]
                padded = f", {wave.padded / setting.rate:.1f} s of zeros at the end" if wave.padded else ""
                print(
                    f"  {name:<12} {features.shape[0]} frames x {features.shape[1]} dims, "
                    f"{features.min():.3f} to {features.max():.3f}, mean {features.mean():.3f}{padded}"
                )
        except (RejectedError, UnicodeEncodeError) as error:
            print(f"{path}: {_why_not(error)}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def _why_not(error: Exception) -> str:
    """Explain why a file cannot be heard; libsndfile takes UTF-8 names alone."""
    return "its name is not UTF-8: rename it" if isinstance(error, UnicodeEncodeError) else str(error)


if __name__ == "__main__":
    sys.exit(main())
