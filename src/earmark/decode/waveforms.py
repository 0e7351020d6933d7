"""The waveforms of one rate, from which features are computed: known by their index, decoded if they are needed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from earmark import progress
from earmark.config import WaveformConfig
from earmark.corpus.manifest import Clip
from earmark.decode import corpus as decode
from earmark.decode import waveform_store
from earmark.decode.corpus import WaveformShard
from earmark.decode.index import INDEX, Entry, Index
from earmark.errors import EarmarkError
from earmark.storage import provenance
from earmark.storage.makers import Makers, stale, stale_reason


class Waveforms:
    """The shards that the index in ``folder`` names.

    clips: the manifest; audio: the corpus's folder of music. Both serve to decode a shard again that the store lacks,
    and are not looked at before.
    """

    def __init__(self, folder: Path, clips: Iterable[Clip], audio: Path) -> None:
        self.folder, self.clips, self.audio = folder, clips, audio
        self.index = Index.read(folder)
        self.store = waveform_store.root(folder)

    @property
    def shards(self) -> dict[str, Entry]:
        """What the index says of each shard, by name; this needs no waveform."""
        return self.index.shards

    def path(self, name: str) -> Path:
        """Return where a shard lies in the store, or would lie."""
        return waveform_store.place(self.store, self.shards[name].fingerprint)

    def makers(self, names: Iterable[str]) -> dict[str, Makers]:
        """Return who made the named shards, or will have made them once they are ``ready``."""
        held, here = self._held(names), decode.makers()
        again = stale(held, here)
        return {name: here if makers is None or name in again else makers for name, makers in held.items()}

    def ready(self, names: Iterable[str], wanted: Path, address: str | None = None) -> dict[str, Path]:
        """Return the files of the named shards, all made by the same makers.

        What the store lacks, or has damaged, is decoded again. wanted: the features they are for. address: of a cluster
        whose workers are to read the shards, and then decode what is lacking; it may be in their own store alone.

        Raises EarmarkError if the music is absent, or is no longer what the index was made of.
        """
        held, here = self._held(names, address), decode.makers()
        again = sorted(stale(held, here))
        if again:
            lacking = self._hashed(again, wanted, address)
            line = (
                stale_reason(held, again, here) or f"decoded again, since {self.store} lacks them: {len(again)} shards"
            )
            progress.say(f"decode {self._rate} Hz", line)
            for _ in decode.write_shards(lacking, self._rate, address):
                pass
        return {name: self.path(name) for name in held}

    @property
    def _rate(self) -> int:
        return int(self.index.settings["rate"])

    def _held(self, names: Iterable[str], address: str | None = None) -> dict[str, Makers | None]:
        """Return who made each shard in the store; None of one that is absent or damaged."""
        entries = {name: decode.recall(self.store, self.shards[name].fingerprint, address) for name in names}
        return {name: None if entry is None else entry.makers for name, entry in entries.items()}

    def _hashed(self, names: list[str], wanted: Path, address: str | None) -> list[WaveformShard]:
        """Return the named shards as the music that is here makes them. Raises EarmarkError if these are others."""
        by_shard: dict[str, list[Clip]] = {name: [] for name in names}
        for clip in self.clips:
            if clip.shard in by_shard:
                by_shard[clip.shard].append(clip)
        config = WaveformConfig.from_stored(self.index.settings)
        found = list(decode.hashed(by_shard, self.audio, self._rate, config, self.store, address))
        for shard in found:
            if shard.fingerprint != self.shards[shard.name].fingerprint:
                raise EarmarkError(self._differs(shard, wanted))
        return found

    def _differs(self, shard: WaveformShard, wanted: Path) -> str:
        """Return why a shard cannot be decoded as the index has it."""
        absent = sum(not (self.audio / clip.path).is_file() for clip in shard.clips)
        if absent == len(shard.clips):
            return (
                f"{wanted} cannot be computed here: {self.store} lacks the waveforms of shard {shard.name}, and their "
                f"music is not in {self.audio} (corpus.audio); `dvc pull {wanted}` brings what another one computed"
            )
        cause = "its music has changed"
        if self.index.code != provenance.digest("decode"):
            cause = "the code that decodes has changed"
        elif absent:
            cause = f"{absent} of its {len(shard.clips)} files are not in {self.audio}"
        return (
            f"{self.folder / INDEX} has shard {shard.name} as {self.shards[shard.name].fingerprint[:12]}, but "
            f"decoded now it would be {shard.fingerprint[:12]}: {cause}; run `dvc repro decode@{self._rate}`"
        )
