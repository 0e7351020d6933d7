"""How much the decoded waveforms take on this machine, and which of them nothing names any more."""

from __future__ import annotations

from pathlib import Path

from earmark.decode import waveform_store
from earmark.decode.index import Index, indices


def tell(data: Path, prune: bool) -> None:
    """Print a line for each folder of waveforms, and one for the shards that no index of ``data`` names.

    prune: delete these.
    """
    named = {folder: {entry.fingerprint for entry in Index.read(folder).shards.values()} for folder in indices(data)}
    keep = set[str]().union(*named.values())
    size = waveform_store.size
    for store in sorted({waveform_store.root(folder) for folder in (data / "waveforms/any", *named)}):
        held = waveform_store.held(store)
        print(f"{store}: {len(held)} shards, {size(held.values())} ({waveform_store.VARIABLE})")
        for folder, marks in named.items():
            here = [path for mark, path in held.items() if mark in marks]
            print(f"  {folder}: {len(here)} of {len(marks)} shards, {size(here)}")
        others = [path for mark, path in held.items() if mark not in keep]
        print(f"  others: {len(others)} shards, {size(others)}; of other branches, settings or working copies")
        if prune:
            print(f"  deleted {len(waveform_store.prune(store, keep))} shards; those that are needed again come back")
