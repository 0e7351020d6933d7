"""What is written beside a predicted tag: by which model, of which version, from which threshold on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from earmark.prediction import Prediction, Wish
from earmark.travel.bundle import version


@dataclass(frozen=True)
class Written:
    """What is said of a file: its predicted tags with probability and threshold, the most probable one first."""

    model: str
    tags: Sequence[dict[str, Any]]

    @classmethod
    def of(cls, found: Prediction, model: str, wish: Wish) -> Written:
        """Take the tags that are predicted, among those that are asked for."""
        rows = [row for row in found.rows(wish) if row["predicted"]]
        return cls(model, [{key: row[key] for key in ("tag", "probability", "threshold")} for row in rows])

    @property
    def names(self) -> list[str]:
        """The tags alone."""
        return [row["tag"] for row in self.tags]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"earmark": version(), "model": self.model, "tags": list(self.tags)}
