"""Look at a corpus before the pipeline does: what is there, what would be rejected, what would stop it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from earmark.config import Config, LabelsConfig, SplitPolicy
from earmark.corpus import labels, notes, registry
from earmark.corpus.audio_folder import AudioFolder
from earmark.corpus.manifest import SPLITS, Clip, CorpusError, TagTable, described
from earmark.corpus.read import read, verify
from earmark.corpus.splits import deal
from earmark.corpus.unfit_names import UnfitNames, alike
from earmark.decode import equal, pool
from earmark.decode.audio import RejectedError, stream
from earmark.errors import EarmarkError
from earmark.progress import bar

_ANY_RATE = 8_000  # Hz, at which a file is decoded of which only the length is wanted
_SHOWN = 5  # files that are incomplete


@dataclass(frozen=True)
class Header:
    """What a file holds. reason: why it would be rejected, empty if it would not be; incomplete: what it lacks."""

    seconds: float = 0.0
    rate: int = 0
    channels: int = 0
    format: str = ""
    reason: str = ""
    incomplete: str = ""


Labels = dict[str, tuple[list[Clip], TagTable]]
Usable = dict[int, frozenset[str]]
Foresee = Callable[[Config, Labels, Usable], list[str]]


@dataclass
class Check:
    """The findings: lines for a reader, remarks, and what would stop the pipeline.

    labelled: the labelled clips and their tags, of each entry of ``labels`` that can be made. usable: the ids of the
    clips that would be decoded, by rate; empty if the settings cannot be used.
    """

    lines: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    labelled: Labels = field(default_factory=dict)
    usable: Usable = field(default_factory=dict)

    def add(self, what: str, value: object) -> None:
        """Note a finding."""
        self.lines.append((what, str(value)))

    def text(self) -> str:
        """Return a table, and below it the remarks and what would stop the pipeline."""
        width = max(len(what) for what, _ in self.lines) if self.lines else 0
        found = [f"{what:<{width}}  {value}" for what, value in self.lines]
        return "\n".join([*found, *self.remarks, *(f"stops the pipeline: {reason}" for reason in self.stops)]) + "\n"


def check(config: Config, require: Callable[[Config], None], foresee: Foresee | None = None) -> Check:
    """Read the tables of the configured corpus and the header of every file; look at the experiments' settings.

    require: refuses settings. foresee: returns what would stop a stage after ``labels``, of the labelled clips and of
    those that would be decoded at each rate.
    """
    found = Check()
    try:
        require(config)
        settings_fit = True
    except EarmarkError as error:
        found.stops.extend(str(error).splitlines())
        settings_fit = False
    names = UnfitNames.below(dict.fromkeys((config.corpus.audio, config.corpus.annotations)))
    found.stops.extend(names.stopping())
    found.remarks.extend(f"warning: {remark}" for remark in names.remarking())
    try:
        with notes.collected() as told:
            undealt, table = read(config.corpus.model_copy(update={"split": "corpus"}))
    except EarmarkError as error:
        found.stops.extend(str(error).splitlines())
        return found
    finally:
        found.remarks.extend(told)
    for key in ("audio", "annotations"):
        if not (path := getattr(config.corpus, key)).exists():
            found.stops.append(f"corpus.{key}: {path} does not exist, which DVC refuses; an empty folder would do")
    clips = deal(config.corpus.split, config.corpus.seed, undealt, registry.broken(config.corpus.kind))
    try:
        found.lines.extend(("", line) for line in verify(config.corpus, clips, table))
    except EarmarkError as error:
        found.stops.append(str(error))
    usable = _files(config, clips, found)
    _names(config, clips, table, found)
    for name, chosen in config.labels.items():
        _labels(config, name, chosen, undealt, table, found)
    if settings_fit:
        found.usable = usable
    if settings_fit and foresee is not None:
        found.stops.extend(foresee(config, found.labelled, usable))
    return found


def _files(config: Config, clips: list[Clip], found: Check) -> Usable:
    """What the files' headers say. Return the ids of the clips that would be decoded at each rate."""
    headers = _headers(clips, config.corpus.audio)
    fine = [h for h in headers if not h.reason]
    found.add(
        "clips", f"{len(clips)} of {len({c.song for c in clips})} songs by {len({c.artist for c in clips})} artists"
    )
    found.add("hours", f"{sum(h.seconds for h in fine) / 3600:.2f}")
    for what, values in (
        ("formats", Counter(h.format for h in fine)),
        ("rates", Counter(f"{h.rate} Hz" for h in fine)),
        ("channels", Counter(str(h.channels) for h in fine)),
        ("seconds", Counter(f"{h.seconds:.0f}" for h in fine)),
    ):
        found.add(what, _counts(values))
    found.add("equal files", equal.described(equal.equal_files(clips, config.corpus.audio, pool.workers())))
    reasons = Counter(h.reason for h in headers if h.reason)
    found.add("rejects", _counts(reasons) if reasons else "none")
    incomplete = [(clip.path, h.incomplete) for clip, h in zip(clips, headers, strict=True) if h.incomplete]
    found.add("incomplete", len(incomplete) or "none")
    for path, reason in incomplete[:_SHOWN]:
        found.add("", f"{path}: {reason}")
    usable: Usable = {}
    for rate, waveform in config.waveforms.items():
        short = sum(h.seconds < waveform.min_seconds for h in fine)
        kept = [
            clip.clip_id
            for clip, h in zip(clips, headers, strict=True)
            if not h.reason
            and h.seconds >= waveform.min_seconds
            and not (h.incomplete and waveform.incomplete == "reject")
        ]
        usable[rate] = frozenset(kept)
        rejected = len(clips) - len(kept)
        found.add(f"too short at {rate} Hz", f"{short} below {waveform.min_seconds:g} s")
        if rejected > waveform.max_rejected * len(clips):
            found.stops.append(
                f"waveforms.{rate}.max_rejected={waveform.max_rejected:g} of {len(clips)} clips, got {rejected} "
                "rejected"
            )
    return usable


def _names(config: Config, clips: list[Clip], table: TagTable, found: Check) -> None:
    """Music that no clip is of, and names that are one for a reader and two for the pipeline."""
    of_clips = {clip.path for clip in clips}
    folder = AudioFolder.of(config.corpus.audio)
    if others := [path for path in folder.audio if path not in of_clips]:
        found.remarks.append(f"{len(others)} audio files below {folder.root} are no clips: {notes.examples(others)}")
    for what, names in (
        ("tags", table.tags),
        ("artists", tuple(clip.artist for clip in clips)),
        ("files", tuple(folder.files)),
    ):
        if groups := alike(names):
            told = ", ".join(" and ".join(map(repr, group)) for group in groups[:3])
            found.remarks.append(f"warning: {len(groups)} {what} in several ways of writing count as different: {told}")


def _labels(
    config: Config, name: str, wanted: LabelsConfig, undealt: list[Clip], table: TagTable, found: Check
) -> None:
    """What the labels stage would make of an entry, by each of the rules that deal clips to the splits."""
    chosen_policy = wanted.split or config.corpus.split
    found.add(f"labels {name}", f"the {wanted.top} most frequent tags")
    try:
        merged = labels.merge(table, labels.read_synonyms(wanted.synonyms))
    except EarmarkError as error:
        found.stops.append(f"labels.{name}: {error}")
        return
    outcomes = []
    aside = registry.broken(config.corpus.kind)
    for policy in get_args(SplitPolicy):
        clips = deal(policy, config.corpus.seed, undealt, aside)  # all of them, as the corpus stage deals them
        kept, chosen = labels.labelled(clips, merged, wanted.top, wanted.clean)
        sizes = Counter(clip.split for clip in kept)
        mark = " (chosen)" if policy == chosen_policy else ""
        outcomes.append((f"split {policy}{mark}", f"{'/'.join(str(sizes[s]) for s in SPLITS)}; {described(kept)}"))
        if policy == chosen_policy:
            found.add("tags", f"{len(table.tags)}, {len(merged.tags)} after merging, {len(chosen.tags)} are learnt")
            _chosen_labels(clips, kept, chosen, found)
            try:
                labels.require_splits(clips, kept, chosen, policy)
                found.labelled[name] = kept, chosen
            except CorpusError as error:
                found.stops.append(f"labels.{name}: {error}")
    found.lines.extend(outcomes)


def _chosen_labels(clips: list[Clip], kept: list[Clip], chosen: TagTable, found: Check) -> None:
    """What the labels stage would count."""
    counted = labels.summary(kept, chosen, len(clips))
    found.add("without any of them", counted["without_tags"])
    groups = ", ".join(f"{len({getattr(clip, group) for clip in kept})} by {group}" for group in ("artist", "song"))
    found.add("folds at most", groups)
    for part in SPLITS:
        c = counted[part]
        absent = c["tags_without_positives"]
        warning = f", {absent} tags without a positive" if absent else ""
        found.add(part, f"{c['clips']} clips of {c['songs']} songs{warning}")


def _headers(clips: list[Clip], audio: Path) -> list[Header]:
    """Read the headers in the processes that decode: a file that crashes them costs itself."""

    def read(clip: Clip) -> Header:
        try:
            return pool.shared().run(header, audio / clip.path)
        except RejectedError as error:
            return Header(reason=str(error))

    with pool.threads(pool.workers()) as threads, bar(len(clips), "headers", "file") as progress:
        found = []
        for one in threads.map(read, clips):
            found.append(one)
            progress.update()
        return found


def header(path: Path) -> Header:
    """Return what a file holds by its bytes, as ``audio.decode`` finds it; the reasons are the same.

    No more than headers, frames and pages is read, unless they leave the length open: then the file is decoded.
    """
    try:
        with stream(path, _ANY_RATE) as blocks:
            about = (blocks.source_rate, blocks.channels, blocks.format)
            if (seconds := blocks.expected) == 0:
                seconds = sum(len(block) for block in blocks) / _ANY_RATE
            if seconds == 0:
                return Header(reason="no audio frames")
            return Header(seconds, *about, incomplete=blocks.lacking)
    except RejectedError as error:
        return Header(reason=str(error))
    except OSError as error:
        return Header(reason=f"not readable: {error.strerror or error}")


def _counts(values: Counter[str]) -> str:
    """Return the most frequent values with their counts."""
    shown = ", ".join(f"{value} ({count})" for value, count in values.most_common(5))
    return shown + (f", and {len(values) - 5} more" if len(values) > 5 else "")
