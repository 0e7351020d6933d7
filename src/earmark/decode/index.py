"""The index of the waveforms of one rate: what the pipeline keeps and shares of them, a file that DVC tracks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from earmark.corpus.manifest import is_shard
from earmark.decode.equal import DIGITS
from earmark.decode.waveform_store import is_fingerprint
from earmark.errors import reason
from earmark.files import write_text
from earmark.storage import shards
from earmark.storage.sealed_json import sealed, unsealed

INDEX = "index.json"

Settings = dict[str, Any]
Makers = dict[str, str]


@dataclass(frozen=True)
class Entry:
    """What the index says of one shard: its fingerprint, its rows, what was found, and who made it.

    Raises ShardError if a value is something else: what is read may come from anybody.

    rejected, incomplete: clip_id, path and reason of each clip that is not in it, and of each that is there in part.
    sounds: the digest of each clip's samples, one after the other, by which equal audio is found (``equal``).
    """

    fingerprint: str
    rows: int
    found: dict[str, int]
    rejected: list[tuple[str, str, str]]
    makers: Makers
    incomplete: list[tuple[str, str, str]] = field(default_factory=list)
    sounds: str = ""

    def __post_init__(self) -> None:
        reasons = (self.rejected, self.incomplete)
        for name, fits in {
            "fingerprint": isinstance(self.fingerprint, str) and is_fingerprint(self.fingerprint),
            "rows": _is_count(self.rows),
            "found": isinstance(self.found, dict) and all(map(_is_count, self.found.values())),
            "rejected": all(isinstance(some, list) and all(map(_is_reason, some)) for some in reasons),
            "makers": isinstance(self.makers, dict) and all(isinstance(maker, str) for maker in self.makers.values()),
            "sounds": isinstance(self.sounds, str),
        }.items():
            if not fits:
                raise shards.ShardError(f"what it says of a shard's {name} cannot be")

    def each_sound(self) -> list[str]:
        """Return the digest of each clip's samples."""
        return [self.sounds[start : start + DIGITS] for start in range(0, len(self.sounds), DIGITS)]


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_reason(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(text, str) for text in value)


@dataclass(frozen=True)
class Index:
    """All shards of one rate by name, and what they have in common: settings, and the digest of the code."""

    settings: Settings
    code: str
    shards: dict[str, Entry]

    def write(self, folder: Path) -> None:
        """Write ``folder``/index.json and remove shards, which an earlier version kept beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        shards.remove_others(folder, set())
        write_text(folder / INDEX, sealed(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Index:
        """Read what ``write`` wrote. Raises ShardError if it is absent or something else."""
        path = folder / INDEX
        try:
            content = unsealed(path.read_text(encoding="utf-8"))
            found = {name: Entry(**entry) for name, entry in content["shards"].items()}
            if bad := [name for name in found if not is_shard(name)]:
                raise ValueError(f"{bad[0]!r} is no name of a shard")
            if not isinstance(content["settings"], dict) or not isinstance(content["code"], str):
                raise ValueError("its settings or its code are something else")
            return cls(content["settings"], content["code"], found)
        except FileNotFoundError:
            raise shards.ShardError(f"{path} does not exist; run the stage decode, or `dvc pull {folder}`") from None
        except OSError as error:
            raise shards.ShardError(f"{path} cannot be read: {reason(error)}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise shards.ShardError(f"{path} is no index of waveforms ({error}); run the stage decode") from None


def indices(data: Path) -> list[Path]:
    """Return the folders below ``data`` that hold an index: the pipeline's, and those of ``earmark papers``."""
    return sorted(path.parent for where in (data, data / "papers") for path in where.glob(f"waveforms/*/{INDEX}"))
