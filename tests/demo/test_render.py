"""The demo corpus: the same seed gives the same bytes, tags are true, and errors leave the old corpus in place."""

from __future__ import annotations

import csv
import errno
import os
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

for package in ("music21", "pretty_midi"):
    pytest.importorskip(package, reason=f"the demo corpus needs {package}, of the extra `demo`")

from earmark.demo import plan as planning  # noqa: E402
from earmark.demo import render as demo  # noqa: E402
from earmark.demo import scores, soundfont, studio  # noqa: E402
from earmark.demo.arranging import Line  # noqa: E402
from earmark.demo.orchestra import DEALT, INSTRUMENTS, Voice  # noqa: E402
from earmark.demo.plan import SPLITS, SongPlan, plan, split_of  # noqa: E402
from earmark.demo.tags import TAG_NAMES, TAGS, Facts, tags_of  # noqa: E402
from earmark.errors import EarmarkError  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:music21")

SEED = 3
FACTS = Facts("folk", frozenset({"flute"}), "none", False, 100.0, 3.0, 70.0, -24.0, False, 0.3)


@pytest.fixture(scope="module")
def songs() -> list[SongPlan]:
    return plan(420, SEED)


@pytest.fixture(scope="module")
def few(songs: list[SongPlan]) -> list[SongPlan]:
    """Return four short songs of different eras: about seven clips, a loud and a quiet one among them."""
    chosen: dict[str, SongPlan] = {}
    for song in songs:
        levels = {clip.level for clip in song.clips[:2]}
        if song.piece.era != "classic" and (len(chosen) > 0 or levels == {"loud", "quiet"}):
            chosen.setdefault(song.piece.era, replace(song, clips=song.clips[:2]))
    return list(chosen.values())[:3]


@pytest.fixture(scope="module")
def rendered(few: list[SongPlan], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[demo.DemoClip]]:
    folder = tmp_path_factory.mktemp("one")
    clips = demo.render_songs(few, SEED, folder, workers=1)
    demo.write_annotations(clips, folder / demo.ANNOTATIONS)
    return folder, clips


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_plan_depends_on_the_seed_alone(songs: list[SongPlan]) -> None:
    assert plan(420, SEED) == songs
    assert plan(420, SEED + 1) != songs


@pytest.mark.parametrize("clips", [4, 5, 17, 320, 420, 600])
def test_every_size_is_planned_exactly_with_names_used_once(clips: int) -> None:
    songs = plan(clips, 0)
    paths = [song.path(clip) for song in songs for clip in song.clips]
    assert len(set(paths)) == len(paths) == clips
    assert [clip.index for song in songs for clip in song.clips] == list(range(clips))
    assert len({song.piece for song in songs}) == len(songs)


@pytest.mark.parametrize("clips", [0, 3, 601])
def test_a_size_out_of_range_is_named(clips: int) -> None:
    with pytest.raises(EarmarkError, match=rf"demo\.clips must be in \[4, 600\], got {clips}"):
        plan(clips, 0)


def test_splits_get_their_shares_and_a_song_stays_in_one_folder(songs: list[SongPlan]) -> None:
    count: dict[str, int] = defaultdict(int)
    for song in songs:
        assert 2 <= len(song.clips) <= 4
        assert len({song.path(clip).rsplit("-", 2)[0] for clip in song.clips}) == 1
        assert all(b.start - a.start == 29 for a, b in pairwise(song.clips))
        count[split_of(song.folder)] += len(song.clips)
    for split, (_, share) in SPLITS.items():
        assert count[split] == pytest.approx(share * 420, abs=1)


def test_no_score_spans_two_splits(songs: list[SongPlan]) -> None:
    homes: dict[tuple[str, int | None], set[str]] = defaultdict(set)
    for song in songs:
        homes[song.piece.path, song.piece.number].add(split_of(song.folder))
    assert all(len(splits) == 1 for splits in homes.values())


def test_each_dealt_instrument_meets_many_partners_in_every_split(songs: list[SongPlan]) -> None:
    found: dict[str, dict[str, list[frozenset[str]]]] = {split: defaultdict(list) for split in SPLITS}
    for song in songs:
        for clip in song.clips:
            names = frozenset(voice.instrument for voice in clip.voices)
            for name in names:
                found[split_of(song.folder)][name].append(names)
    for name in DEALT:
        assert len(set(found["train"][name])) >= 10, name
        assert len(found["valid"][name]) >= 2, name
        assert len(found["test"][name]) >= 3, name


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
def test_every_instrument_sounds_at_both_ends_of_its_range(name: str) -> None:
    instrument = INSTRUMENTS[name]
    for program in instrument.programs:
        for pitch in (instrument.low, instrument.high):
            events = np.array([[0.5, 1.0, pitch, 1.0]])
            wave = studio.play(Line(events, program, 0.0, Voice(name, program, 0.0)))
            assert np.abs(wave[: studio.RATE // 2]).max() == 0
            assert np.abs(wave).max() > 0.01, (program, pitch)


@pytest.mark.parametrize(("program", "pitch"), [(0, 60), (40, 70), (38, 40), (73, 84), (68, 86)])
def test_notes_are_in_tune_and_scale_with_their_gain(program: int, pitch: int) -> None:
    font = soundfont.load(scores.package_folder("pretty_midi") / "TimGM6mb.sf2")
    loud, soft = (
        font.play(np.array([[0.1, 1.0, pitch, gain]]), program, False, studio.RATE, 2 * studio.RATE)
        for gain in (1.0, 0.25)
    )
    np.testing.assert_allclose(soft, loud / 4, atol=1e-12)
    steady = loud[4000:12192] * np.hanning(8192)
    spectrum = np.abs(np.fft.rfft(steady, 1 << 17))
    hertz = np.fft.rfftfreq(1 << 17, 1 / studio.RATE)
    cents = np.arange(-300, 301, 5)
    wanted = 440 * 2 ** ((pitch - 69) / 12 + cents / 1200)
    energy = sum(np.interp(k * wanted, hertz, spectrum) for k in (1, 2, 3))
    assert abs(cents[np.argmax(energy)]) <= 20


def test_a_program_that_the_font_lacks_is_named() -> None:
    font = soundfont.load(scores.package_folder("pretty_midi") / "TimGM6mb.sf2")
    with pytest.raises(EarmarkError, match="no program 3 in bank 128"):
        font.play(np.array([[0.0, 1.0, 60.0, 1.0]]), 3, True, studio.RATE, 100)


def test_another_kind_of_file_is_no_soundfont(tmp_path: Path) -> None:
    (tmp_path / "font.sf2").write_bytes(b"RIFF\4\0\0\0WAVE")
    with pytest.raises(EarmarkError, match=r"font\.sf2 is no SoundFont 2 file: it lacks the chunks"):
        soundfont.load(tmp_path / "font.sf2")


def test_a_score_has_sorted_notes_with_ties_joined() -> None:
    piece = next(p for p in scores.catalogue()["baroque"] if p.path == "bach/bwv66.6.mxl")
    score = scores.read(piece)
    assert len(score.parts) == 4
    assert score.beat == 1.0
    assert score.length == 36.0
    soprano = score.parts[0]
    assert soprano[:4].tolist() == [[0, 0.5, 73], [0.5, 0.5, 71], [1, 1, 69], [2, 1, 71]]
    assert all((np.diff(part[:, 0]) >= 0).all() for part in score.parts)
    means = [part[:, 2].mean() for part in score.parts]
    assert means == sorted(means, reverse=True)


def test_layout_and_table_are_those_of_magnatagatune(rendered: tuple[Path, list[demo.DemoClip]]) -> None:
    folder, clips = rendered
    text = (folder / "annotations_final.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0].startswith('"clip_id"\t"guitar"\t')
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    assert [int(row["clip_id"]) for row in rows] == sorted(clip.clip_id for clip in clips)
    assert {row["mp3_path"] for row in rows} == {
        p for p in (k.removeprefix("audio/") for k in files(folder)) if "/" in p
    }
    for row, clip in zip(rows, clips, strict=True):
        assert tuple(tag for tag in TAG_NAMES if row[tag] == "1") == clip.tags
        assert {row[tag] for tag in TAG_NAMES} <= {"0", "1"}
        start, end = row["mp3_path"].removesuffix(".mp3").split("-")[-2:]
        assert int(end) - int(start) == 29


def test_clips_decode_to_magnatagatunes_length_and_rate(rendered: tuple[Path, list[demo.DemoClip]]) -> None:
    folder, clips = rendered
    for clip in clips:
        path = folder / "audio" / clip.mp3_path
        wave, rate = sf.read(path)
        assert (rate, wave.ndim) == (16_000, 1)
        assert 465_984 <= wave.size <= 467_136
        assert path.stat().st_size * 8 / (wave.size / rate) == pytest.approx(32_000, rel=0.01)
        assert 10 * np.log10(np.mean(wave**2)) == pytest.approx(clip.facts.rms_db, abs=1.0)


def test_tags_agree_with_what_is_on_disk(rendered: tuple[Path, list[demo.DemoClip]], few: list[SongPlan]) -> None:
    folder, clips = rendered
    planned = {song.path(clip): clip for song in few for clip in song.clips}
    levels: dict[str, list[float]] = {"loud": [], "quiet": []}
    for clip in clips:
        assert clip.facts.instruments <= {voice.instrument for voice in planned[clip.mp3_path].voices}
        assert clip.tags == tags_of(clip.facts)
        wave, _ = sf.read(folder / "audio" / clip.mp3_path)
        for tag in set(levels) & set(clip.tags):
            levels[tag].append(float(np.sqrt(np.mean(wave**2))))
    assert levels["loud"]
    assert levels["quiet"]
    assert max(levels["quiet"]) < min(levels["loud"]) / 3


def test_two_workers_write_the_same_bytes(
    rendered: tuple[Path, list[demo.DemoClip]], few: list[SongPlan], tmp_path: Path
) -> None:
    clips = demo.render_songs(few, SEED, tmp_path, workers=2)
    demo.write_annotations(clips, tmp_path / demo.ANNOTATIONS)
    assert clips == rendered[1]
    assert files(tmp_path) == files(rendered[0])


def test_a_disk_that_is_full_is_told_by_the_clip(
    few: list[SongPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as of a write: without the name of the file

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as told:
        demo.render_songs(few[:1], SEED, tmp_path, workers=1)
    assert Path(told.value.filename) == tmp_path / demo.AUDIO / few[0].path(few[0].clips[0])


def test_a_corpus_that_cannot_be_put_in_place_leaves_the_one_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, rename = tmp_path / "corpus", Path.rename
    with demo._replacing(target) as new:
        demo.write_annotations([], new / demo.ANNOTATIONS)

    def refused(path: Path, to: Path) -> Path:
        if path.name == ".corpus.partial":
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(path), None, str(to))
        return rename(path, to)

    before = files(target)
    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(OSError, match="quota"), demo._replacing(target) as new:
        (new / "x").touch()
    assert files(target) == before
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_an_inaudible_line_is_left_out_of_the_mix() -> None:
    loud, soft = (Voice(name, INSTRUMENTS[name].programs[0], gain) for name, gain in (("organ", 0.0), ("flute", -40.0)))
    events = np.array([[t, 1.0, 67.0, 1.0] for t in range(0, 28, 2)], float)
    lines = tuple(Line(events, voice.program, voice.gain_db, voice) for voice in (loud, soft))
    wave, heard = studio.mix(lines)
    alone, _ = studio.mix(lines[:1])
    assert [line.voice for line in heard] == [loud]
    np.testing.assert_array_equal(wave, alone)


@pytest.mark.parametrize(
    ("change", "present", "absent"),
    [
        ({}, {"flute", "solo", "folk"}, {"duet", "slow", "fast", "drums", "loud", "quiet", "classical"}),
        ({"drums": "free"}, {"drums"}, {"solo", "beat"}),
        ({"onset_rate": 1.5}, {"slow"}, {"fast", "ambient"}),
        ({"onset_rate": 5.0}, {"fast"}, {"slow"}),
        ({"rms_db": -30.0}, {"quiet"}, {"loud"}),
        ({"rms_db": -18.0}, {"loud"}, {"quiet"}),
        ({"instruments": frozenset({"violin", "synth pad"})}, {"violin", "strings", "duet", "electronic"}, {"solo"}),
        ({"instruments": frozenset({"electric guitar"})}, {"guitar", "electric guitar"}, {"electronic"}),
        ({"era": "baroque"}, {"classical", "baroque"}, {"folk", "medieval"}),
        ({"median_pitch": 49.0, "echo": True}, {"low", "echo"}, set()),
    ],
)
def test_definitions(change: dict[str, object], present: set[str], absent: set[str]) -> None:
    tags = set(tags_of(replace(FACTS, **change)))  # type: ignore[arg-type]
    assert present <= tags
    assert not absent & tags


def test_every_tag_has_its_own_name_and_definition() -> None:
    assert len(TAGS) >= 34
    assert len({tag.name for tag in TAGS}) == len({tag.definition for tag in TAGS}) == len(TAGS)


def test_a_rare_tag_stops_the_corpus_before_it_takes_its_place(
    few: list[SongPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "plan", lambda clips, seed: few[:1])  # noqa: ARG005
    with pytest.raises(EarmarkError, match=r"tag 'guitar' needs at least .*'train': 10.*, got .* of 2"):
        demo.render(tmp_path / "corpus", 4, SEED, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_an_older_corpus_is_replaced_and_leftovers_vanish(
    few: list[SongPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "plan", lambda clips, seed: few[:1])  # noqa: ARG005
    monkeypatch.setattr(demo, "check_counts", lambda clips: None)  # noqa: ARG005
    target = tmp_path / "corpus"
    (tmp_path / ".corpus.partial" / "audio").mkdir(parents=True)
    first = demo.render(target, 4, SEED, workers=1)
    (target / "audio" / "stale.mp3").touch()
    assert demo.render(target, 4, SEED, workers=1) == first
    assert [p.name for p in tmp_path.iterdir()] == ["corpus"]
    assert not (target / "audio" / "stale.mp3").exists()


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(EarmarkError, match="holds something other than this version's demo corpus"):
        demo.render(tmp_path, 420, SEED)
    assert (tmp_path / "holiday.jpg").exists()


def test_a_missing_package_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scores.importlib.util, "find_spec", lambda name: None)  # noqa: ARG005
    with pytest.raises(EarmarkError, match=r"needs music21: install earmark\[demo\]"):
        demo.render(tmp_path / "corpus", 420, SEED)


def test_the_demo_is_rendered_anew_for_other_settings_or_code_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC runs the stage whenever a setting of the corpus changes, such as its split."""
    asked: list[tuple[int, int]] = []

    def render(target: Path, clips: int, seed: int) -> list[int]:
        asked.append((clips, seed))
        target.mkdir(exist_ok=True)
        (target / demo.ANNOTATIONS).touch()
        return [0] * clips

    monkeypatch.setattr(demo, "render", render)
    target = tmp_path / "demo"
    assert [demo.update(target, 400, 1), demo.update(target, 400, 1)] == [400, 0]
    assert demo.update(target, 400, 2) == 400
    monkeypatch.setattr(demo.provenance, "digest", lambda _: "other code")
    assert demo.update(target, 400, 2) == 400
    (target / demo.ANNOTATIONS).unlink()
    assert demo.update(target, 400, 2) == 400
    (target / demo.MADE).write_text("{")
    assert demo.update(target, 400, 2) == 400
    assert demo.update(target, 400, 2) == 0
    (target / demo.ANNOTATIONS).write_text("a flipped bit")
    assert demo.update(target, 400, 2) == 400
    assert asked == [(400, 1)] + [(400, 2)] * 5
