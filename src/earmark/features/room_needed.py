"""How much disk the waveforms and features of a corpus will take, before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

from earmark import representations
from earmark.config import Config
from earmark.decode import waveform_store
from earmark.decode.index import INDEX, Index
from earmark.errors import EarmarkError
from earmark.storage import room


@dataclass(frozen=True)
class Need:
    """What a stage will write. size: bytes in all; there: how many of them are there, or are replaced."""

    stage: str
    folder: Path
    size: int
    there: int

    @property
    def missing(self) -> int:
        """How many bytes it will need beyond those that are there."""
        return max(0, self.size - self.there)


def needs(config: Config, usable: Mapping[int, Sized], data: Path) -> list[Need]:
    """Return what decoding and every representation will need.

    usable: by rate, the clips that would be decoded. data: the folder that the pipeline fills.
    """
    return [*_waveforms(config, usable, data), *_features(config, usable, data)]


def _waveforms(config: Config, usable: Mapping[int, Sized], data: Path) -> Iterator[Need]:
    for rate, clips in usable.items():
        folder = data / "waveforms" / str(rate)
        store = waveform_store.root(folder)
        marks = {entry.fingerprint for entry in Index.read(folder).shards.values()} if (folder / INDEX).exists() else ()
        there = [path for mark in marks if (path := waveform_store.place(store, mark)).exists()]
        yield Need(f"decode@{rate}", store, config.waveforms[rate].size(len(clips)), _bytes(there))


def _features(config: Config, usable: Mapping[int, Sized], data: Path) -> Iterator[Need]:
    for name, heard in config.heard.items():
        if heard.rate in usable:
            rows = len(usable[heard.rate]) * (config.waveforms[heard.rate].segments or 1)
            folder = data / "features" / name
            try:
                resolved = representations.resolve(heard, name)
                size = rows * representations.bytes_of_a_clip(resolved, name)
            except EarmarkError:  # the settings are judged elsewhere
                continue
            yield Need(
                f"{'encode' if name in config.encoders else 'features'}@{name}",
                folder,
                size,
                _bytes(folder.glob("*.h5")),
            )


def _bytes(files: Sequence[Path] | Iterator[Path]) -> int:
    return sum(path.stat().st_size for path in files)


def lines(needs: Sequence[Need]) -> list[tuple[str, str]]:
    """Return the sizes for a reader, and what is free."""
    told = ", ".join(f"{need.stage} {room.in_words(need.size)}" for need in needs)
    return [("disk", f"{told}; free: {room.in_words(room.free(needs[-1].folder))}")] if needs else []


def stops(needs: Sequence[Need]) -> list[str]:
    """Return a line for each disk that has no room for what is to be written there."""
    found = []
    disks: dict[int, list[Need]] = {}
    for need in needs:
        disks.setdefault(room.existing(need.folder).stat().st_dev, []).append(need)
    for here in disks.values():
        missing = sum(need.missing for need in here)
        if missing > (left := room.free(here[0].folder)):
            stages = ", ".join(f"{need.stage} {room.in_words(need.missing)}" for need in here if need.missing)
            found.append(
                f"{room.in_words(missing)} are needed on the disk of {here[0].folder} ({stages}), of which "
                f"{room.in_words(left)} are free; `earmark clean --dry-run` says what can be freed"
            )
    return found
