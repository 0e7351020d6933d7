"""Small imitations of public corpora: folders, names and tables as their publishers have them, with tones as music."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import soundfile as sf

from earmark.corpus.labels import read_synonyms
from earmark.corpus.published_counts import SYNONYMS
from helpers.corpora import HEADER, write
from helpers.music import tone, write_annotations

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
FMA_GENRES = {  # id, title; the ids are our own
    10: "Electronic", 11: "Experimental", 12: "Folk", 13: "Hip-Hop", 14: "Instrumental", 15: "International",
    16: "Pop", 17: "Rock", 18: "Old-Time / Historic",
}  # fmt: skip
EMOTIONS = ("amazement", "solemnity", "tenderness", "nostalgia", "calmness", "power", "joyful_activation", "tension",
            "sadness")  # fmt: skip


def music(path: Path, kind: str = "MP3", seconds: float = 1.2) -> None:
    """Write a tone; an empty file if it has no length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not seconds:
        path.touch()
        return
    sf.write(path, tone(seconds, 300 + 7 * len(path.name)), 16_000, format=kind)


def table(path: Path, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def magnatagatune(data: Path) -> None:
    """Four songs of two excerpts in folders of all splits; one artist, a, trains and is tested."""
    tags = [tag for group in read_synonyms(SYNONYMS) for tag in group]
    rows = []
    for number, (folder, artist) in enumerate((("0", "a"), ("1", "b"), ("c", "c"), ("d", "a"))):
        for start in (0, 29):
            path = f"{folder}/{artist}-album-0{number}-title-{start}-{start + 29}.mp3"
            music(data / "magnatagatune" / path)
            held = tags[1] if start else tags[0]  # beats, which means beat
            rows.append((str(2 * number + bool(start)), [int(tag == held) for tag in tags], path))
    write_annotations(data / "annotations_final.csv", tags, rows)


def mtg_jamendo(data: Path) -> None:
    """Tables of three tracks each, whose files are those of the smaller edition."""
    folder = data / "mtg-jamendo-dataset/data/splits/split-0"
    for number, split in enumerate(("train", "validation", "test")):
        lines = ""
        for track in range(3):
            place = f"{track:02}/{100 * number + track}"
            music(data / f"mtg-jamendo/audio/{place}.low.mp3")
            cells = f"track_{number}{track}", f"artist_{number}", "album_1", f"{place}.mp3", "31.5"
            lines += "\t".join([*cells, "genre---rock", "instrument---piano"]) + "\n"
        write(folder / f"autotagging_top50tags-{split}.tsv", HEADER + lines)


def fma(data: Path) -> None:
    """Seven tracks of each genre in small, one more in medium and one in large; a clip of small without audio."""
    columns = [("artist", "id"), ("set", "split"), ("set", "subset"), ("track", "genre_top"), ("track", "genres_all"),
               ("track", "information")]  # fmt: skip
    rows = []
    for place, (genre, title) in enumerate(FMA_GENRES.items()):
        for copy in range(7 if genre < 18 else 2):
            subset = "small" if genre < 18 else ("medium", "large")[copy]
            split = ("training", "validation", "test")[max(0, copy - 4)]
            single = title if subset != "large" else ""
            number = 1000 * place + copy + 2
            rows.append(
                [
                    number,
                    50 + copy + 10 * (place % 2),
                    split,
                    subset,
                    single,
                    json.dumps([genre, 17]),
                    "two\nlines, <p>",
                ]
            )
            seconds = 0 if number == 2 else 1.2
            music(data / f"fma/fma_small/{number // 1000:03}/{number:06}.mp3", seconds=seconds)
    heads = [["", *(group for group, _ in columns)], ["", *(name for _, name in columns)], ["track_id"] + [""] * 6]
    table(data / "fma/fma_metadata/tracks.csv", [*heads, *rows])
    genres = [[genre, 1, 0, title, genre] for genre, title in FMA_GENRES.items()]
    table(data / "fma/fma_metadata/genres.csv", [["genre_id", "#tracks", "parent", "title", "top_level"], *genres])


def gtzan(data: Path, index: bool = True) -> None:
    """Eight excerpts a genre as WAV, lists that say .au and leave out the last one, and Sturm's index."""
    lists = dict.fromkeys(("train", "valid", "test"), "")
    artists = ""
    for genre in GENRES:
        for number in range(8):
            music(data / f"gtzan/genres/{genre}/{genre}.{number:05}.wav", "WAV")
            split = ("train", "train", "train", "train", "valid", "test", "test")[number] if number < 7 else None
            if split:
                lists[split] += f"{genre}/{genre}.{number:05}.au\n"
            artist = "" if number == 6 else f"{genre.title()} Artist {number // 2}"
            artists += f"{genre}.{number:05}.wav ::: {artist} ::: A Song: Live\n"
    for split, lines in lists.items():
        write(data / f"gtzan-lists/{split}_filtered.txt", lines)
    if index:
        write(data / "gtzan-lists/GTZANindex.txt", artists)


def philharmonia(data: Path) -> None:
    """Thirteen instruments, eight pitches, three samples of each; and percussion, a phrase and an empty file."""
    instruments = ("bassoon", "cello", "clarinet", "double-bass", "flute", "french-horn", "oboe", "saxophone",
                   "trombone", "trumpet", "tuba", "viola", "violin")  # fmt: skip
    for instrument in instruments:
        for pitch in ("A2", "As2", "C3", "Cs3", "D3", "E3", "F3", "Gs3"):
            for rest in ("025_forte_normal", "1_piano_normal", "long_cresc-decresc_arco-normal"):
                folder = data / "philharmonia" / instrument.replace("-", " ")
                music(folder / f"{instrument}_{pitch}_{rest}.mp3", seconds=0.3)
    viola = data / "philharmonia/viola"
    music(viola / "viola_D6_05_piano_arco-normal.mp3", seconds=0)
    music(viola / "viola_D6_phrase_forte_arco-spiccato.mp3")
    music(data / "philharmonia/agogo bells/agogo-bells__025_mezzo-forte_struck-singly.mp3")
    music(data / "philharmonia/double bass/_notes/notes.mp3")


def nsynth(data: Path) -> None:
    """Two instruments train, and two others validate and are tested, with other notes; three notes of each."""
    for place, split in enumerate(("train", "valid", "test")):
        notes = {}
        for instrument in (f"bass_synthetic_{min(place, 1):03}", f"organ_electronic_{min(place, 1):03}"):
            family, source, _ = instrument.split("_")
            for pitch in (21 + place, 60 + place, 100 + place):
                name = f"{instrument}-{pitch:03}-075"
                notes[name] = {"instrument_str": instrument, "instrument_family_str": family, "pitch": pitch,
                               "instrument_source_str": source, "qualities_str": ["dark"] * (pitch < 60)}  # fmt: skip
                music(data / f"nsynth/nsynth-{split}/audio/{name}.wav", "WAV")
        write(data / f"nsynth/nsynth-{split}/examples.json", json.dumps(notes))


def openmic_2018(data: Path) -> None:
    """Forty artists train or validate and eight are tested; an excerpt of which only an absent instrument is known."""
    folder = data / "openmic-2018"
    labels: list[list[object]] = [["sample_key", "instrument", "relevance", "num_responses"]]
    known: list[list[object]] = [["sample_key", "start_time", "track_id", "artist_id", "license_title"]]
    parts: dict[str, str] = {"train": "", "test": ""}
    for artist in range(48):
        key = f"{artist:03}046_3840"
        music(folder / f"audio/{key[:3]}/{key}.ogg", "OGG")
        known.append([key, 0.04, artist, 400 + artist, "Attribution"])
        labels.append([key, ("piano", "voice")[artist % 2], 0.9 if artist else 0.1, 3])
        labels.append([key, "drums", 0.5 if artist % 4 else 0.49, 3])
        parts["test" if artist > 39 else "train"] += f"{key}\n"
    table(folder / "openmic-2018-aggregated-labels.csv", labels)
    table(folder / "openmic-2018-metadata.csv", known)
    for part, keys in parts.items():
        write(folder / f"partitions/split01_{part}.csv", keys)


def emotify(data: Path) -> None:
    """Twelve excerpts a genre, the last one with the number 100 of its folder, and four answers to each."""
    rows: list[list[object]] = [["track id", " genre", *(f" {name}" for name in EMOTIONS), " mood", " liked",
                                 " disliked", " age", " gender", " mother tongue"]]  # fmt: skip
    for place, genre in enumerate(("classical", "rock", "electronic", "pop")):
        for number in (*range(1, 12), 100):
            music(data / f"emotify/emotifymusic/{genre}/{number}.mp3")
            for listener in range(4):  # one of four feels calmness, nobody sadness, and power everybody in rock
                felt = {"calmness": listener == 0, "power": genre == "rock"}
                answer = [int(felt.get(name, False)) for name in EMOTIONS]
                rows.append([100 * place + number, genre, *answer, 3, 0, 0, 30, 1, "Dutch"])
    table(data / "emotify/data.csv", rows)
