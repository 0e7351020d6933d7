"""What is done much of, in a process of its own, whose memory and computing time are then known.

python tests/helpers/load.py CASE SIZE FOLDER: prints the most files that were open at one time.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import soundfile
import yaml

RATE = 8_000
NO_SYNONYMS = Path(__file__).parents[2] / "src/earmark/corpus/synonyms/none.yaml"


def hour(path: Path, hours: float) -> None:
    """Write a WAV of so many hours, all but its first second a hole, which takes no space."""
    samples = round(hours * 3600 * RATE)
    held = io.BytesIO()
    soundfile.write(held, 0.1 * np.sin(np.arange(RATE) / 5), RATE, format="RF64", subtype="PCM_16")
    head = bytearray(held.getvalue())
    at = head.index(b"ds64") + 8
    head[at : at + 24] = b"".join(v.to_bytes(8, "little") for v in (2 * samples + 96, 2 * samples, samples))
    path.write_bytes(head)
    with path.open("r+b") as file:
        file.truncate(head.index(b"data") + 8 + 2 * samples)


def links(folder: Path, number: int, samples: int = 1_600) -> list[str]:
    """Make so many files in one folder, which are a few by other names."""
    folder.mkdir(parents=True)
    names = [f"{n}.wav" for n in range(number)]
    for n, name in enumerate(names):
        if n % 30_000 == 0:  # a file has no more names than that everywhere
            soundfile.write(folder / name, 0.1 * np.sin(np.arange(samples) * (1 + n % 7) / 9), RATE)
            first = folder / name
        else:
            os.link(first, folder / name)
    return names


def table(folder: Path, paths: list[str], tags: int = 3, each: int = 1) -> Path:
    """Write a table of clips, and params.yaml for it."""
    split = ("train", "train", "valid", "test")
    rows = (
        f"{path},{'|'.join(f't{(n * each + i) % tags}' for i in range(each))},artist {n // 4},{split[n // 4 % 4]}\n"
        for n, path in enumerate(paths)
    )
    with (folder / "table.csv").open("w") as file:
        file.write("path,tags,artist,split\n")
        file.writelines(rows)
    mel = {"kind": "mel", "rate": RATE, "samples": 1_600, "n_fft": 128, "hop": 64, "n_mels": 8}
    settings = {
        "corpus": {"kind": "table", "audio": str(folder / "audio"), "annotations": str(folder / "table.csv")},
        "labels": {"top": {"top": 3, "clean": False, "synonyms": str(NO_SYNONYMS)}},
        "waveforms": {str(RATE): {"samples": 1_600, "min_seconds": 0.1}},
        "representations": {"mel": mel},
        "experiments": {"linear": {"representation": "mel", "labels": "top", "model": "linear"}},
        "evaluation": {"resamples": 5, "seed": 1},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    return folder / "params.yaml"


def files_in_one_folder(size: int, folder: Path) -> None:
    from earmark.corpus.read import read_corpus

    read_corpus(table(folder, links(folder / "audio", size)), folder / "corpus")


def corpus_check(size: int, folder: Path) -> None:
    from earmark import config
    from earmark.decode.check import check

    found = check(config.load(table(folder, links(folder / "audio", size))), lambda _: None)
    assert not found.stops, found.stops
    assert str(size) in found.text()


def tags(size: int, folder: Path) -> None:
    from earmark.corpus.choose import choose_labels
    from earmark.corpus.read import read_corpus

    params = table(folder, links(folder / "audio", 2_000), size, size // 1_000)
    read_corpus(params, folder / "corpus")
    choose_labels(params, "top", folder / "corpus", folder / "l.csv", folder / "l.json", folder / "p.csv")


def rows(size: int, folder: Path) -> None:
    from earmark.corpus.choose import choose_labels
    from earmark.corpus.read import read_corpus

    links(folder / "audio", 1)
    params = table(folder, [f"{n}.wav" for n in range(size)])
    read_corpus(params, folder / "corpus")
    choose_labels(params, "top", folder / "corpus", folder / "l.csv", folder / "l.json", folder / "p.csv")


def experiments(size: int, folder: Path) -> None:
    from earmark.training.validation import judge

    params = table(folder, links(folder / "audio", 1))
    content = yaml.safe_load(params.read_text())
    content["experiments"] = {f"linear-{n}": content["experiments"]["linear"] for n in range(size)}
    params.write_text(yaml.dump(content, Dumper=_NoAliases))
    judge(params, folder / "settings")


def report(size: int, folder: Path) -> None:
    import shutil

    from earmark.report.page import write_report
    from helpers import ROOT, results

    metrics, scores, labels = results.write_results(folder)
    made = [*metrics.glob("*/net.*"), scores / "net.csv"]
    names = [f"net-{n}" for n in range(size - 2)]
    for name in names:
        for file in made:
            shutil.copy(file, file.with_name(name + file.suffix))
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    known = results.config().model_dump(mode="json")["experiments"]
    content["experiments"] = known | dict.fromkeys(names, known["net"])
    content |= {"crossvalidations": {}, "fusions": {}, "evaluation": {"resamples": 50, "seed": 1}}
    content["labels"]["top50"]["synonyms"] = str(NO_SYNONYMS)
    (folder / "params.yaml").write_text(yaml.dump(content, Dumper=_NoAliases))
    out = folder / "out"
    written = (out / "r.md", out / "comparison.json", out / "fusions.json", out / "papers.md", out / "index.html")
    with contextlib.redirect_stdout(io.StringIO()):
        write_report(folder / "params.yaml", metrics, scores, labels, folder / "logs", *written)
    assert sum(file.stat().st_size for file in written) < 1_500 * size + 300_000


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def decode_hours(size: int, folder: Path) -> None:
    from earmark.decode.audio import describe, stream

    hour(folder / "long.wav", size / 10)
    with stream(folder / "long.wav", 16_000) as blocks:
        seconds = sum(len(block) for block in blocks) / 16_000
    assert abs(seconds - 360 * size) < 1
    assert f"{360 * size:.2f} s" in describe(folder / "long.wav")


def _model(folder: Path) -> Path:
    from helpers.encoders import saved

    file = folder / "model.safetensors"
    saved(file, "linear", window=110, samples=28_000)
    return file


def predict_hours(size: int, folder: Path) -> None:
    from earmark import predict

    hour(folder / "long.wav", size / 10)
    found = predict.load(_model(folder)).predict(folder / "long.wav")
    assert abs(found.seconds - 360 * size) < 1


def predict_files(size: int, folder: Path) -> None:
    from earmark.cli import main

    folder.mkdir(exist_ok=True)
    (folder / "music").mkdir()
    links(folder / "music/a", size, 9_000)
    with contextlib.redirect_stdout(io.StringIO()):
        main(["predict", str(folder / "music"), "--model", str(_model(folder)), "--csv", str(folder / "out.csv")])
    assert sum(1 for _ in (folder / "out.csv").open()) == 5 * size + 1


CASES = {
    one.__name__: one
    for one in (
        files_in_one_folder,
        corpus_check,
        tags,
        rows,
        experiments,
        report,
        decode_hours,
        predict_hours,
        predict_files,
    )
}


def main(case: str, size: str, folder: str) -> None:
    """Do one of the cases."""
    most = [0]

    def watch() -> None:
        while True:
            most[0] = max(most[0], len(os.listdir("/proc/self/fd")))  # noqa: PTH208
            time.sleep(0.02)

    threading.Thread(target=watch, daemon=True).start()
    CASES[case](int(size), Path(folder))
    print(most[0])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main(*sys.argv[1:])
