"""docs/corpora.md is followed: the code and the settings of each section, on a small imitation of its corpus."""

from __future__ import annotations

import contextlib
import csv
import functools
import re
from collections import Counter
from collections.abc import Callable

import pytest
import yaml
from helpers import ROOT, imitations
from helpers.corpora_page import HEADINGS, NAMES, TEXT, Followed, Section
from helpers.snippets import CORPORA, SECTIONS, snippets

from earmark.corpus.label_table import read_labels
from earmark.corpus.manifest import leaks
from earmark.decode.check import check
from earmark.training import validation
from earmark.training.crossvalidation import classify


@pytest.fixture(scope="module", autouse=True)
def _where_the_synonyms_lie():
    with contextlib.chdir(ROOT):
        yield


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> Callable[[str], Followed]:
    """Follow a section once, for tests that only look at what has come of it."""
    return functools.cache(lambda name: Section(name).follow(tmp_path_factory.mktemp("corpus")))


EXPECTED = {  # clips, songs, artists, tags of the corpus, labelled clips in train, valid and test
    "MagnaTagATune": (8, 4, 3, 83, (4, 2, 2)),
    "MTG-Jamendo": (9, 9, 3, 2, (3, 3, 3)),
    "FMA": (56, 56, 14, 8, (40, 8, 8)),
    "GTZAN": (70, 70, 40, 10, (40, 10, 20)),
    "Philharmonia": (313, 105, 105, 13, None),
    "NSynth": (18, 4, 4, 5, (6, 6, 6)),
    "OpenMIC-2018": (48, 48, 48, 3, None),
    "Emotify": (48, 48, 48, 6, None),
}


@pytest.mark.parametrize("name", NAMES)
def test_each_corpus_is_read_with_its_tags_groups_and_splits(followed, name):
    made = followed(name)
    clips, table = made.clips, made.table
    found = len(clips), len({c.song for c in clips}), len({c.artist for c in clips}), len(table.tags)
    *expected, splits = EXPECTED[name]
    assert found == tuple(expected)
    sizes = tuple(made.labels[split]["clips"] for split in ("train", "valid", "test"))
    assert min(sizes) > 0
    assert splits in (None, sizes)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_stops_the_pipeline_and_every_file_is_where_the_table_says(followed, name):
    made = followed(name)
    found = check(made.config, validation.require)
    assert not found.stops
    told = dict(found.lines)
    rejected = [line for line in found.text().splitlines() if "no such file" in line]
    assert not rejected
    assert re.match(rf"{len(made.clips)} of ", told["clips"])


@pytest.mark.parametrize("name", NAMES)
def test_no_song_and_no_artist_is_in_two_splits_but_where_the_page_says_so(followed, name):
    made = followed(name)
    found = leaks(made.clips)
    if name == "MagnaTagATune":  # 56 artists of the real one
        assert found == {
            "songs_in_several_splits": 0, "test_clips_whose_song_trains": 0,
            "artists_in_several_splits": 1, "test_clips_whose_artist_trains": 2,
        }  # fmt: skip
    elif name == "GTZAN":  # the imitation's artists are not those of the lists
        assert found["songs_in_several_splits"] == 0
    elif name == "NSynth":  # valid and test share the imitation's instruments, train has its own
        assert found["test_clips_whose_artist_trains"] == 0
    else:
        assert not any(found.values())


CROSSVALIDATED = [name for name in NAMES if "crossvalidations:" in Section(name).settings]


@pytest.mark.parametrize("name", CROSSVALIDATED)
def test_the_classes_of_a_cross_validation_are_exclusive_tags_in_enough_groups(followed, name):
    made = followed(name)
    ((_, entry),) = made.config.crossvalidations.items()
    found = classify(*read_labels(made.folder / "labels.csv"), entry.classes)
    assert found.left_out == 0
    assert set(found.classes.tolist()) == set(range(len(entry.classes)))
    groups = {getattr(clip, entry.groups) for clip in found.clips}
    assert len(groups) >= 2 * entry.folds


# --- what is particular to a corpus


def test_magnatagatunes_tags_that_mean_the_same_are_one(followed):
    made = followed("MagnaTagATune")
    with (made.folder / "positives.csv").open() as file:
        positives = {row["tag"]: row for row in csv.DictReader(file)}
    assert positives["beat"]["train"] == "4"
    assert "beats" not in positives


def test_jamendos_smaller_edition_is_found_by_its_names_and_the_larger_one_by_the_tables(tmp_path):
    section = Section("MTG-Jamendo")
    small = section.follow(tmp_path)
    assert {path.count(".low.mp3") for path in small.by_path()} == {1}
    for path in (tmp_path / "data/mtg-jamendo/audio").rglob("*.mp3"):
        path.rename(path.with_name(path.name.replace(".low", "")))
    large = section.again(tmp_path)
    assert [clip.clip_id for clip in large.clips] == [clip.clip_id for clip in small.clips]
    assert not [path for path in large.by_path() if "low" in path]


def test_fma_small_has_one_genre_a_track_and_a_clip_without_audio_stays_to_be_counted(followed):
    made = followed("FMA")
    clip = made.by_path()["000/000002.mp3"]
    assert (clip.clip_id, clip.artist, clip.split) == ("000002", "50", "train")
    assert made.tags("003/003003.mp3") == {"Hip-Hop"}
    assert "empty" in check(made.config, validation.require).text()


@pytest.mark.parametrize("ending", ["wav", "au"])
def test_gtzans_lists_fit_the_files_whatever_they_are_called(tmp_path, ending):
    imitations.gtzan(tmp_path / "data")
    for path in (tmp_path / "data/gtzan/genres").rglob("*.wav"):
        path.rename(path.with_suffix(f".{ending}"))
    followed = Section("GTZAN").again(tmp_path)
    clips = followed.by_path()
    assert clips[f"blues/blues.00004.{ending}"].split == "valid"
    assert f"blues/blues.00007.{ending}" not in clips, "it stands in no list"
    assert clips[f"rock/rock.00002.{ending}"].artist == clips[f"rock/rock.00003.{ending}"].artist == "Rock Artist 1"
    assert clips[f"rock/rock.00006.{ending}"].artist == f"rock/rock.00006.{ending}", "never identified"


def test_gtzan_can_do_without_the_index(tmp_path):
    imitations.gtzan(tmp_path / "data", index=False)
    followed = Section("GTZAN").again(tmp_path)
    assert len({clip.artist for clip in followed.clips}) == len(followed.clips) == 70


def test_a_group_of_the_philharmonias_samples_is_an_instrument_and_a_pitch(followed):
    made = followed("Philharmonia")
    songs = Counter(clip.song for clip in made.clips)
    assert songs["double-bass As2"] == songs["cello As2"] == 3
    assert songs.pop("viola D6") == 1, "the phrase is left out"
    assert set(songs.values()) == {3}
    by_song: dict[str, set[str]] = {}
    for clip in made.clips:
        by_song.setdefault(clip.song, set()).add(clip.split)
    assert {len(splits) for splits in by_song.values()} == {1}
    assert not [clip for clip in made.clips if "agogo" in clip.path or "_notes" in clip.path]
    assert made.tags("double bass/double-bass_As2_1_piano_normal.mp3") == {"double-bass"}


def test_nsynths_notes_are_linked_into_a_folder_an_instrument_and_a_second_run_changes_nothing(tmp_path):
    section = Section("NSynth")
    clips = section.follow(tmp_path).clips
    assert {clip.shard for clip in clips} == {clip.artist for clip in clips}
    note = "bass_synthetic_000-021-075.wav"
    kept = tmp_path / "data/nsynth/nsynth-train/audio" / note
    assert (tmp_path / "data/nsynth/notes/bass_synthetic_000" / note).samefile(kept)
    followed = section.again(tmp_path)
    assert followed.clips == clips
    assert followed.tags(f"bass_synthetic_000/{note}") == {"bass", "synthetic", "dark"}


def test_nsynth_can_do_without_its_training_notes(tmp_path):
    imitations.nsynth(tmp_path / "data")
    (tmp_path / "data/nsynth/nsynth-train/examples.json").unlink()
    Section("NSynth").run(tmp_path)
    with (tmp_path / "data/nsynth/notes.csv").open(encoding="utf-8") as file:
        assert Counter(row["split"] for row in csv.DictReader(file)) == {"valid": 6, "test": 6}


def test_openmics_artists_validate_or_train_and_an_instrument_counts_from_half_of_the_answers(followed):
    made = followed("OpenMIC-2018")
    clips = made.by_path()
    assert {clip.artist for clip in clips.values() if clip.split == "test"} == {
        str(artist) for artist in range(440, 448)
    }
    assert 1 <= sum(clip.split == "valid" for clip in clips.values()) <= 12
    assert made.tags("000/000046_3840.ogg") == set()
    assert made.tags("002/002046_3840.ogg") == {"piano", "drums"}
    assert made.labels["clips"] == 48, "an excerpt of which only absent instruments are known stays"


def test_emotifys_answers_become_tags_from_a_quarter_on(followed):
    made = followed("Emotify")
    assert made.tags("rock/1.mp3") == {"rock", "calmness", "power"}
    assert made.tags("pop/100.mp3") == {"pop", "calmness"}


# --- the page


def test_every_section_says_what_how_and_under_which_terms():
    assert list(EXPECTED) == NAMES
    for name in NAMES:
        start = HEADINGS[name]
        text = "\n".join(TEXT.splitlines()[start:]).partition("\n## ")[0]
        for said in ("- Licence: ", "- Get it: ", "- Traps:"):
            assert text.count(said) == 1, f"{name}: {said}"
        assert set(yaml.safe_load(Section(name).settings)) <= SECTIONS
        anchor = re.sub(r"[^\w-]", "", name.lower())
        assert f"(#{anchor})" in TEXT, f"{name} has no row in the table"


def test_the_page_has_no_snippet_that_is_not_run():
    kinds = Counter(s.kind for s in snippets([CORPORA]))
    assert kinds == {"yaml": len(NAMES), "python": sum(len(Section(name).code) for name in NAMES)}


def test_links_within_the_project_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if not link.startswith("http")]
    assert links
    for link in links:
        assert (CORPORA.parent / link).exists(), link
