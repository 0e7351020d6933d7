"""What a model says about an audio file, as a table, as rows and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEARD_BEFORE = {
    "train": "it was trained on this clip: its accuracy here is no test",
    "valid": "its thresholds were chosen on this clip, too: its accuracy here is no test",
}


@dataclass(frozen=True)
class Wish:
    """What is shown of a prediction.

    top: the most probable tags alone, so many of them. least: tags of at least this probability. tags: these alone.
    """

    top: int | None = None
    least: float = 0.0
    tags: tuple[str, ...] | None = None

    def order(self, names: Sequence[str], probabilities: NDArray[np.float64]) -> list[int]:
        """Return the numbers of the tags that are shown, the most probable one first."""
        chosen = [
            int(i)
            for i in np.argsort(-probabilities, kind="stable")
            if probabilities[i] >= self.least and (self.tags is None or names[i] in self.tags)
        ]
        return chosen[: self.top]


ALL = Wish()


@dataclass(frozen=True)
class Prediction:
    """What a model says about a file.

    seconds: of the file. starts: (segments,), the second at which each segment begins. each: (segments, tags), their
    probabilities. probabilities: (tags,), the mean over segments. thresholds: (tags,), from which a tag is predicted.
    predicted: (tags,). actual: (tags,) in {0, 1}, None if nothing is known of the file. split: of the model's corpus in
    which the file is; None if it is not among its labelled clips. incomplete: what the file lacks, or empty.
    """

    file: str
    seconds: float
    starts: NDArray[np.float64]
    tags: tuple[str, ...]
    each: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    predicted: NDArray[np.bool_]
    actual: NDArray[np.uint8] | None
    split: str | None = None
    incomplete: str = ""

    @property
    def segments(self) -> int:
        """How many segments the probabilities are the mean of."""
        return len(self.each)

    @property
    def accuracy(self) -> float | None:
        """The share of the tags that are predicted correctly, None if the actual tags are unknown."""
        return None if self.actual is None else float((self.predicted == (self.actual > 0)).mean())

    def rows(self, wish: Wish = ALL) -> list[dict[str, Any]]:
        """Return a dict per tag, the most probable one first."""
        return [
            {
                "tag": self.tags[i], "probability": float(self.probabilities[i]),
                "threshold": float(self.thresholds[i]), "predicted": bool(self.predicted[i]),
            }
            | ({} if self.actual is None else {"actual": bool(self.actual[i])})
            for i in wish.order(self.tags, self.probabilities)
        ]  # fmt: skip

    def as_dict(self, wish: Wish = ALL, timeline: bool = False) -> dict[str, Any]:
        """Return it for JSON; timeline: with the probabilities of each segment."""
        known = {} if self.accuracy is None else {"accuracy": self.accuracy}
        heard = {} if self.split is None else {"split": self.split}
        times = {"timeline": self.timeline(wish)} if timeline else {}
        lacks = {"incomplete": self.incomplete} if self.incomplete else {}
        about = {"file": self.file, "seconds": self.seconds, "segments": self.segments} | lacks
        return about | {"tags": self.rows(wish)} | known | heard | times

    def timeline(self, wish: Wish = ALL) -> list[dict[str, Any]]:
        """Return a dict per segment: the second at which it begins, the one at which the next begins, and its tags."""
        order = wish.order(self.tags, self.probabilities)
        ends = [*self.starts[1:].tolist(), self.seconds]
        return [
            {"start": float(start), "end": max(float(start), float(end))}
            | {"tags": {self.tags[i]: float(row[i]) for i in order}}
            for start, end, row in zip(self.starts, ends, self.each, strict=True)
        ]

    def table(self, wish: Wish = ALL) -> str:
        """Return it as a table for the terminal."""
        rows = self.rows(wish)
        width = max([3, *(len(row["tag"]) for row in rows)])
        known = self.actual is not None
        lines = [
            f"{self.file}: {self.seconds:.1f} s in {self.segments} segment{'s' * (self.segments > 1)}"
            + (f"; {self.incomplete}" if self.incomplete else ""),
            f"  {'tag':<{width}}  probability  threshold  predicted" + ("  actual" if known else ""),
        ]
        for row in rows:
            actual = f"  {'FT'[row['actual']]:>6}" if known else ""
            lines.append(
                f"  {row['tag']:<{width}}  {row['probability']:>11.3f}  {row['threshold']:>9.3f}  "
                f"{'FT'[row['predicted']]:>9}{actual}"
            )
        if self.accuracy is not None:
            lines.append(f"  accuracy over {len(self.tags)} tags: {100 * self.accuracy:.1f} %")
        if self.split in HEARD_BEFORE:
            lines.append(f"  {HEARD_BEFORE[self.split]}")
        return "\n".join(lines) + "\n"

    def timeline_table(self, wish: Wish) -> str:
        """Return the probabilities of each segment as a table for the terminal, a column per tag."""
        order = wish.order(self.tags, self.probabilities)
        names = [self.tags[i] for i in order]
        widths = [max(5, len(name)) for name in names]
        head = "  ".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
        lines = [f"{self.file}: {self.seconds:.1f} s", f"  {'from':>7}  {'to':>7}  {head}"]
        for row in self.timeline(wish):
            values = zip(row["tags"].values(), widths, strict=True)
            cells = "  ".join(f"{value:>{width}.3f}" for value, width in values)
            lines.append(f"  {_clock(row['start']):>7}  {_clock(row['end']):>7}  {cells}")
        return "\n".join(lines) + "\n"


def _clock(seconds: float) -> str:
    """Return a time as minutes and seconds.

    >>> _clock(75.25)
    '1:15.2'
    """
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{rest:04.1f}"
