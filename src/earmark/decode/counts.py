"""What was found in the shards of one rate: counts, lists of what is amiss, warnings."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from earmark.config import WaveformConfig
from earmark.corpus.manifest import Clip, CorpusError
from earmark.decode import equal
from earmark.decode.index import Entry
from earmark.files import write_csv

MENTIONED = 10  # rejects
COLUMNS = ("clip_id", "path", "reason")
FOUND = ("segments", "padded", "silent", "clipped", "incomplete")


def counted(
    entries: dict[str, Entry], total: int, rate: int, config: WaveformConfig, out: Path, expected: Collection[str]
) -> dict[str, Any]:
    """Add up what was found in the shards of one rate; list, tell and judge what was rejected.

    total: of clips. expected: as in ``decode_corpus``. Raises CorpusError if too many were rejected.
    """
    rejected = [tuple(row) for entry in entries.values() for row in entry.rejected]
    write_csv(out / "rejected.csv", COLUMNS, rejected)
    incomplete = [tuple(row) for entry in entries.values() for row in entry.incomplete]
    write_csv(out / "incomplete.csv", COLUMNS, incomplete)
    unexpected = [row for row in rejected if row[1] not in expected]
    _mention(f"decode {rate} Hz", unexpected, "is rejected", out / "rejected.csv")
    _mention(f"decode {rate} Hz", incomplete, "is incomplete", out / "incomplete.csv")
    if len(rejected) > config.max_rejected * total:
        reasons = Counter(reason.split(":")[0] for _, _, reason in rejected).most_common(3)
        raise CorpusError(
            f"waveforms.{rate}.max_rejected={config.max_rejected:g} of {total} clips, got {len(rejected)} rejected: "
            + ", ".join(f"{count} x {reason}" for reason, count in reasons)
            + f"; {out / 'rejected.csv'} lists them"
        )
    found = {key: sum(entry.found[key] for entry in entries.values()) for key in FOUND}
    known = len(rejected) - len(unexpected)
    return {"clips": total - len(rejected), "rejected": len(rejected), "rejected_as_known": known} | found


def _mention(stage: str, clips: list[tuple[str, ...]], how: str, listed: Path) -> None:
    """Warn of some clips by name, and say where the others are listed."""
    for clip_id, path, reason in clips[:MENTIONED]:
        print(f"warning: {stage}: clip {clip_id} ({path}) {how}: {reason}", file=sys.stderr)
    if len(clips) > MENTIONED:
        print(f"warning: {stage}: {len(clips) - MENTIONED} more, see {listed}", file=sys.stderr)


def equal_clips(clips: Sequence[Clip], files: Sequence[str], entries: Iterable[Entry], rate: int) -> dict[str, int]:
    """Count and tell the clips that are the same audio under two names.

    files: the digest of each clip's file. entries: of their shards, in the same order.
    """
    counts, told = equal.compared(clips, files, [sound for entry in entries for sound in entry.each_sound()])
    for line in told:
        print(f"warning: decode {rate} Hz: {line}", file=sys.stderr)
    return counts
