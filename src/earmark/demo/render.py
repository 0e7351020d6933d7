"""Render the demo corpus: real compositions, re-orchestrated, in the layout of MagnaTagATune.

The scores come from music21's corpus, the sounds from pretty_midi's soundfont; both packages belong to the extra
`demo`. Each tag is true by construction (see ``tags``): it follows from what was rendered, never from a title.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import multiprocessing
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile as sf

from earmark import progress
from earmark.config import load
from earmark.demo import arranging, plan, scores, studio
from earmark.demo.plan import ClipPlan, SongPlan
from earmark.demo.tags import TAG_NAMES, Facts, tags_of
from earmark.errors import EarmarkError, naming
from earmark.files import read_json, write_json, write_text
from earmark.progress import bar
from earmark.storage import provenance

ANNOTATIONS = "annotations_final.csv"
AUDIO = "audio"
MADE = "made.json"  # the settings and the code that made the corpus
MIN_POSITIVES = {"train": 10, "valid": 2, "test": 3}
PACKAGES = ("music21", "pretty_midi")


@dataclass(frozen=True)
class DemoClip:
    """A rendered clip: its row of the annotations and what was measured on it."""

    clip_id: int
    mp3_path: str
    tags: tuple[str, ...]
    facts: Facts


def render_configured(params: Path, out: Path) -> None:
    """Run the stage: render the demo corpus of params.yaml into ``out``, or nothing for another kind of corpus."""
    config = load(params).corpus
    watch = progress.Stopwatch()
    if config.kind == "demo" and config.demo is not None:
        rendered = update(out, config.demo.clips, config.demo.seed)
        watch.report("demo", rendered, "" if rendered else "up to date")
    else:
        out.mkdir(parents=True, exist_ok=True)
        watch.report("demo", 0, f"nothing to render, corpus.kind is {config.kind}")


def update(target: Path, clips: int, seed: int) -> int:
    """Render into ``target`` unless it holds this very corpus already. Return the number of clips rendered.

    DVC runs the stage whenever a setting of the corpus changes, but few of these settings concern the demo.
    """
    made = {"clips": clips, "seed": seed, "code": provenance.digest("demo")}
    note = target / MADE
    with contextlib.suppress(EarmarkError):
        if read_json(note) == made | {"content": _content(target)}:
            return 0
    rendered = render(target, clips, seed)
    write_json(note, made | {"content": _content(target)})
    return len(rendered)


def _content(folder: Path) -> str:
    """Return the SHA-256 of all files in the folder except MADE, so that a damaged file is noticed."""
    summary = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MADE):
        summary.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n".encode())
        summary.update(path.read_bytes())
    return summary.hexdigest()


def render(target: Path, clips: int, seed: int, workers: int | None = None) -> list[DemoClip]:
    """Write `clips` MP3s and their annotations into the folder `target`. Return the clips in the order of their ids.

    The same clips and seed give the same bytes, whatever the number of workers (default: one per core).

    Raises EarmarkError if a tag would have too few clips in a split, if a package of the extra `demo` is missing, or if
    `target` holds anything but a demo corpus. `target` then stays as it was.
    """
    for package in PACKAGES:
        scores.package_folder(package)
    songs = plan.plan(clips, seed)
    with _replacing(Path(target)) as folder:
        done = render_songs(songs, seed, folder, workers)
        check_counts(done)
        write_annotations(done, folder / ANNOTATIONS)
    return done


def render_songs(songs: Sequence[SongPlan], seed: int, folder: Path, workers: int | None = None) -> list[DemoClip]:
    """Render songs of a plan into `folder`/audio. Return their clips in the order of their ids.

    workers: the number of processes (default: one per core); with 1, no process is started.
    """
    for name in sorted({song.folder for song in songs}):
        (folder / AUDIO / name).mkdir(parents=True, exist_ok=True)
    work = partial(render_song, seed=seed, audio=folder / AUDIO)
    count = min(workers or _cores(), len(songs))
    done: list[DemoClip] = []
    with bar(sum(len(song.clips) for song in songs), "demo corpus", "clip") as progress:
        for rendered in map(work, songs) if count <= 1 else _in_pool(work, songs, count):
            done += rendered
            progress.update(len(rendered))
    return sorted(done, key=lambda clip: clip.clip_id)


def _in_pool(work: partial[list[DemoClip]], songs: Sequence[SongPlan], workers: int) -> Iterator[list[DemoClip]]:
    """Yield the clips of each song, rendered in new processes; a failure cancels the songs that have not begun."""
    # spawned, not forked: threads of the caller (torch, tqdm) cannot deadlock the workers
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield from pool.map(work, songs)
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def render_song(song: SongPlan, seed: int, audio: Path) -> list[DemoClip]:
    """Read one score and return its clips, rendered. They do not depend on what this process rendered before."""
    score = scores.read(song.piece)
    return [_render_clip(song, score, clip, seed, audio) for clip in song.clips]


def _render_clip(song: SongPlan, score: scores.Score, clip: ClipPlan, seed: int, audio: Path) -> DemoClip:
    """Arrange, play and record one clip, write its MP3, and return it with its facts."""
    rng = np.random.default_rng([seed, clip.index, 1])
    arrangement = arranging.arrange(score, clip, rng)
    wave, heard = studio.mix(arrangement.lines)
    path = song.path(clip)
    pitched = [line.voice.instrument for line in heard if line.voice is not None]
    if not pitched:
        raise EarmarkError(f"demo clip {path}: no instrument of {[v.instrument for v in clip.voices]} is heard")
    if clip.echo == "echo":
        wave = studio.echo(wave, rng)
    wave, T60 = studio.place(wave, clip.room, clip.level, rng)
    # a constant rate of 32 kbit/s, as in MagnaTagATune; of a disk that is full libsndfile says nothing that can be told
    encoded = io.BytesIO()
    sf.write(encoded, wave, studio.RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=0.84)
    with naming(audio / path):
        (audio / path).write_bytes(encoded.getbuffer())
    drummed = len(pitched) < len(heard)
    facts = Facts(
        era=song.piece.era,
        instruments=frozenset(pitched),
        drums=clip.drums if drummed else "none",
        machine=arrangement.machine and drummed,
        pulse_bpm=arrangement.pulse_bpm,
        onset_rate=arranging.onset_rate(heard),
        median_pitch=arranging.median_pitch(heard),
        rms_db=studio.level_db(wave),
        echo=clip.echo == "echo",
        T60=T60,
    )
    return DemoClip(clip.index + 1, path, tags_of(facts), facts)


def tag_matrix(clips: Sequence[DemoClip]) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Return an array (clips, tags) that is 1 if the tag holds, with the columns of TAG_NAMES."""
    rows = [[tag in clip.tags for tag in TAG_NAMES] for clip in clips]
    return np.array(rows, np.uint8).reshape(len(clips), len(TAG_NAMES))


def check_counts(clips: Sequence[DemoClip]) -> None:
    """Raise EarmarkError if a tag has too few clips in a split, or if two tags mark the same clips."""
    matrix = tag_matrix(clips)
    splits = np.array([plan.split_of(clip.mp3_path[0]) for clip in clips])
    for tag, column in zip(TAG_NAMES, matrix.T, strict=True):
        counts = {split: int(column[splits == split].sum()) for split in MIN_POSITIVES}
        if any(counts[split] < least for split, least in MIN_POSITIVES.items()):
            raise EarmarkError(
                f"demo.clips: tag {tag!r} needs at least {MIN_POSITIVES} clips, got {counts} of {len(clips)}; "
                "ask for more clips (320 or more) or take another seed"
            )
    seen: dict[bytes, str] = {}
    for tag, column in zip(TAG_NAMES, matrix.T, strict=True):
        if (other := seen.setdefault(column.tobytes(), tag)) != tag:
            raise EarmarkError(f"demo.seed: the tags {other!r} and {tag!r} mark the same clips; take another seed")


def write_annotations(clips: Sequence[DemoClip], path: Path) -> None:
    """Write a table in MagnaTagATune's form: TAB-separated, with every value in quotes."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["clip_id", *TAG_NAMES, "mp3_path"])
    for clip, row in zip(clips, tag_matrix(clips), strict=True):
        writer.writerow([clip.clip_id, *row.tolist(), clip.mp3_path])
    write_text(path, text.getvalue())


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Yield a new folder beside `target`. It replaces `target` at the end, or is removed if an error occurs."""
    _refuse_foreign(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    new, old = (target.parent / f".{target.name}.{state}" for state in ("partial", "old"))
    for leftover in (new, old):  # a run that was killed leaves them
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            with contextlib.suppress(OSError):
                old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _refuse_foreign(target: Path) -> None:
    """Raise EarmarkError if `target` holds anything but a demo corpus: it would be deleted."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise EarmarkError(f"{target} must be a folder or absent for the demo corpus to be written there")
    if not target.exists() or not any(target.iterdir()):
        return
    annotations = target / ANNOTATIONS
    header = annotations.read_text(encoding="utf-8").partition("\n")[0] if annotations.is_file() else ""
    if header.replace('"', "").split("\t") != ["clip_id", *TAG_NAMES, "mp3_path"]:
        raise EarmarkError(f"{target} holds something other than this version's demo corpus: empty or move it first")
