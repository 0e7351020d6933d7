"""Free the disk of what can be made again, and of nothing else.

What DVC keeps, it clears away itself (``dvc gc``). Here is what neither git nor DVC knows: caches of commands, shards
that nothing names any more, what killed processes left, and, if that is wanted, trainings that are not finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from earmark import progress
from earmark.config import load
from earmark.decode import disk, waveform_store
from earmark.errors import EarmarkError, reason
from earmark.storage import room

_CURVES = ("csv", "tensorboard")  # copies of what metrics/training holds; runs of other loggers may have no copy


@dataclass(frozen=True)
class Heap:
    """Files of one kind. what: what they are; again: how they come back if they are needed; keep: why they stay."""

    what: str
    again: str
    files: tuple[Path, ...]
    keep: str = ""

    @property
    def size(self) -> int:
        """How many bytes the disk gets back."""
        return sum(map(room.taken, self.files))

    def line(self, verb: str) -> str:
        """Return what is done with them in one line."""
        more = self.keep or f"made again by {self.again}"
        return f"{verb} {room.in_words(self.size):>9}  {len(self.files)} files, {self.what}; {more}"


def clean(data: Path, params: Path, dry_run: bool = False, unfinished: bool = False) -> str:
    """Delete what can be made again of a folder that the pipeline fills; return what was freed, a line per kind.

    params: says which experiments there are; trainings of those that are not finished stay, unless ``unfinished`` is
    set. dry_run: delete nothing, and say what would be freed.

    Raises EarmarkError if the folder is absent, or if a file cannot be deleted; the others are deleted before.
    """
    if not data.is_dir():
        raise EarmarkError(f"--data: {data} is no folder; run this in the root of the project")
    found = [heap for heap in heaps(data, params, unfinished) if heap.files]
    freed = [heap for heap in found if not heap.keep]
    size = sum(heap.size for heap in freed)
    lines = [heap.line("kept" if heap.keep else "would free" if dry_run else "freed") for heap in found]
    if not dry_run:
        _delete(path for heap in freed for path in heap.files)
    in_all = f"{'would free' if dry_run else 'freed'} {room.in_words(size)} in all"
    return "\n".join([*lines, in_all, "what DVC's cache holds of other revisions, `dvc gc --workspace` frees"]) + "\n"


def heaps(data: Path, params: Path, unfinished: bool) -> Iterator[Heap]:
    """Yield what there is of each kind, empty heaps too."""
    for store, others in disk.unnamed(data).items():
        yield Heap(f"waveforms in {store} that no index of {data} names", "the stages decode and features", (*others,))
        yield Heap(f"half shards in {store}", "whoever was killed there", _left(store.glob("??")))
    for folder, again in (
        (data / "features", "the stage features"),
        (data / "papers/features", "`earmark papers`"),
        (data / "probes", "`earmark probe`"),
    ):
        yield Heap(f"half shards in {folder}", again, _left(folder.glob("**")))
    yield Heap(f"features in {data / 'papers/features'}", "`earmark papers`", _in(data / "papers/features", "*/*.h5"))
    yield Heap(f"embeddings in {data / 'probes'}", "`earmark probe`", _in(data / "probes", "*/*/*.h5"))
    yield Heap(f"embeddings in {data / 'embeddings'}", "`earmark similar`", _in(data / "embeddings", "*.h5"))
    for kind in _CURVES:
        folder = progress.logs() / kind
        over = [path for path in _in(folder, "*/*/*") if not (data / "checkpoints" / path.parts[-3]).exists()]
        yield Heap(f"curves in {folder}", "training; metrics/training has them, too", (*over,))
    yield from _checkpoints(data, params, unfinished)


def _checkpoints(data: Path, params: Path, unfinished: bool) -> Iterator[Heap]:
    """Yield the states of trainings: hours may be in those that would go on."""
    going_on = _experiments(params)
    alive: list[Path] = []
    gone: list[Path] = []
    for path in _in(data / "checkpoints", "*/*/*"):
        name = path.relative_to(data / "checkpoints").parts[0]
        (gone if going_on is not None and name not in going_on else alive).append(path)
    alive += _in(data / "papers/checkpoints", "**/*")
    keep = "" if unfinished else "they go on where they were; --unfinished frees them, too"
    yield Heap(f"checkpoints of experiments that {params} has no more", "training", (*gone,))
    yield Heap("checkpoints of trainings that are not finished", "training from the start", (*alive,), keep)


def _experiments(params: Path) -> set[str] | None:
    """Return the folders of the checkpoints of all experiments; None if params.yaml cannot be read."""
    try:
        config = load(params)
    except EarmarkError:
        return None
    return {*config.experiments, *(f"crossvalidate@{name}" for name in config.crossvalidations)}


def _in(folder: Path, pattern: str) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.glob(pattern) if path.is_symlink() or path.is_file()))


def _left(folders: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(path for folder in folders for path in waveform_store.abandoned(folder))


def _delete(files: Iterable[Path]) -> None:
    """Delete files, and their folders where these are empty then."""
    refused: list[str] = []
    folders: set[Path] = set()
    for path in files:
        try:
            path.unlink(missing_ok=True)
            folders.add(path.parent)
        except OSError as error:
            refused.append(f"{path} cannot be deleted: {reason(error)}")
    for place in sorted({above for folder in folders for above in (folder, folder.parent)}, reverse=True):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
    if refused:
        raise EarmarkError("\n".join([*refused[:5], *([f"and {len(refused) - 5} more"] if len(refused) > 5 else [])]))
