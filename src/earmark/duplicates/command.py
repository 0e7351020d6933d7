"""`earmark corpus check --deep`: pairs of files that may be one recording, found in the music itself.

What a network has heard in training under one name, it should not be tested on under another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from earmark import progress
from earmark.config import Config
from earmark.corpus import notes, registry
from earmark.corpus.manifest import Clip
from earmark.corpus.read import read
from earmark.corpus.splits import deal
from earmark.decode.audio import RejectedError
from earmark.decode.pool import workers
from earmark.duplicates.fingerprint import SHORTEST, Fingerprint, fingerprint
from earmark.duplicates.pairs import SUSPECT, matches, windows_compared
from earmark.errors import EarmarkError
from earmark.files import write_csv

SHOWN = 20  # pairs across splits, and as many within one
COLUMNS = ("distance", "path", "split", "other_path", "other_split", "seconds_later", "across_splits")


@dataclass(frozen=True)
class Pair:
    """Two clips of different songs that sound the same. distance: the share of their bits that differ.

    seconds: how much later than the first clip the second one begins, in the time of the recording.
    """

    distance: float
    first: Clip
    second: Clip
    seconds: float

    @property
    def across(self) -> bool:
        """Whether the two are in different splits."""
        return self.first.split != self.second.split

    def line(self) -> str:
        """Return it for the terminal."""
        told = " = ".join(f"{clip.path} ({clip.split})" for clip in (self.first, self.second))
        later = f", which begins {abs(self.seconds):.1f} s {'later' if self.seconds > 0 else 'earlier'}"
        return f"  {self.distance:.3f}  {told}{later if abs(self.seconds) >= 0.1 else ''}"

    def cells(self) -> list[object]:
        """Return it as a row of COLUMNS."""
        clips = self.first.path, self.first.split, self.second.path, self.second.split
        return [f"{self.distance:.4f}", *clips, round(self.seconds, 2), int(self.across)]


def check(config: Config, table: Path | None = None) -> str:
    """Return what is to be told of the corpus's near-duplicates, or why it cannot be read.

    The splits are those that the first experiment is trained and tested on. table: a CSV into which all pairs are
    written.
    """
    try:
        clips = _dealt(config)
    except EarmarkError as error:
        return f"near-duplicates: {error}\n"
    prints = fingerprints(clips, config.corpus.audio)
    pairs = near_duplicates(clips, prints)
    if table is not None:
        write_csv(table, COLUMNS, (pair.cells() for pair in pairs))
    return "\n".join(_told(clips, prints, pairs)) + "\n"


def fingerprints(clips: Sequence[Clip], audio: Path) -> list[Fingerprint | None]:
    """Return the fingerprint of every clip's file, in parallel over files; None of one that cannot be decoded."""

    def one(clip: Clip) -> Fingerprint | None:
        try:
            return fingerprint(audio / clip.path)
        except (RejectedError, OSError):
            return None

    before = torch.get_num_threads()
    with (
        ThreadPoolExecutor(workers(), initializer=torch.set_num_threads, initargs=(1,)) as pool,
        progress.bar(len(clips), "fingerprints", "file") as bar,
    ):
        found = []
        for print_ in pool.map(one, clips):
            found.append(print_)
            bar.update()
    torch.set_num_threads(before)  # what the workers set is also the default of threads to come
    return found


def near_duplicates(clips: Sequence[Clip], prints: Sequence[Fingerprint | None]) -> list[Pair]:
    """Return the pairs of clips of different songs that sound the same: those across splits first, then the nearest."""
    with progress.bar(windows_compared(prints), "near-duplicates", "window") as bar:
        found = matches(prints, [clip.song for clip in clips], bar.update)
    pairs = [Pair(match.distance, clips[match.first], clips[match.second], match.seconds) for match in found]
    return sorted(pairs, key=lambda pair: not pair.across)


def _dealt(config: Config) -> list[Clip]:
    """Return the corpus's clips, dealt to the splits as the labels of the first experiment have it."""
    experiment = next(iter(config.experiments.values()), None)
    policy = config.corpus.split
    if experiment is not None:
        policy = config.labels[experiment.labels].split or policy
    with notes.collected():  # the check has told them
        clips, _ = read(config.corpus.model_copy(update={"split": "corpus"}))
    return deal(policy, config.corpus.seed, clips, registry.broken(config.corpus.kind))


def _told(clips: Sequence[Clip], prints: Sequence[Fingerprint | None], pairs: Sequence[Pair]) -> list[str]:
    heard = sum(one is not None and len(one.windows) > 0 for one in prints)
    missing = f"; {len(clips) - heard} are not: silent, shorter than {SHORTEST:g} s or not decodable"
    lines = [f"near-duplicates: {heard} files are compared{missing if heard < len(clips) else ''}"]
    counts = Counter(pair.across for pair in pairs)
    for across, where in ((True, "across splits"), (False, "within a split")):
        hint = f" (share of the bits that differ, below {SUSPECT:g}; listen whether they are one recording)"
        mark = "warning: " if across and counts[across] else ""
        lines.append(f"{mark}near-duplicates {where}: {counts[across]}{hint if counts[across] else ''}")
        shown = [pair.line() for pair in pairs if pair.across == across]
        lines += shown[:SHOWN]
        if len(shown) > SHOWN:
            lines.append(f"  and {len(shown) - SHOWN} more; --csv FILE lists all")
    return lines
