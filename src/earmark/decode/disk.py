"""How much the decoded waveforms take on this machine, and which of them nothing names any more."""

from __future__ import annotations

from pathlib import Path

from earmark.decode import waveform_store
from earmark.decode.index import Index, indices


def tell(data: Path, prune: bool) -> None:
    """Print a line for each folder of waveforms, and one for the shards that no index of ``data`` names.

    prune: delete these.
    """
    named = _named(data)
    size = waveform_store.size
    for store, others in unnamed(data).items():
        held = waveform_store.held(store)
        print(f"{store}: {len(held)} shards, {size(held.values())} ({waveform_store.VARIABLE})")
        for folder, marks in named.items():
            here = [path for mark, path in held.items() if mark in marks]
            print(f"  {folder}: {len(here)} of {len(marks)} shards, {size(here)}")
        print(f"  others: {len(others)} shards, {size(others)}; of other branches, settings or working copies")
        if prune:
            gone = waveform_store.prune(store, set[str]().union(*named.values()))
            print(f"  deleted {len(gone)} shards; those that are needed again come back")


def unnamed(data: Path) -> dict[Path, list[Path]]:
    """Return, for each store of the waveforms of ``data``, the shards in it that no index of ``data`` names."""
    named = _named(data)
    keep = set[str]().union(*named.values())
    stores = sorted({waveform_store.root(folder) for folder in (data / "waveforms/any", *named)})
    return {store: [path for mark, path in waveform_store.held(store).items() if mark not in keep] for store in stores}


def _named(data: Path) -> dict[Path, set[str]]:
    """Return the fingerprints that each index of ``data`` names."""
    return {folder: {entry.fingerprint for entry in Index.read(folder).shards.values()} for folder in indices(data)}
