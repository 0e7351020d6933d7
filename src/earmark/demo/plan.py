"""Plan the demo corpus: the seed alone decides the score, ensemble, pace and effects of each clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from earmark.demo.orchestra import DEALT, INSTRUMENTS, Voice, ensemble
from earmark.demo.scores import Piece, catalogue
from earmark.errors import EarmarkError

SPLITS: dict[str, tuple[str, float]] = {"train": ("0123456789ab", 0.69), "valid": ("c", 0.13), "test": ("def", 0.18)}
MIN_CLIPS = 4  # enough for a plan; for enough clips of every tag, about 320 are needed
MAX_CLIPS = 600  # with more, the scores of the classic era would run out
SECONDS = 29  # end - start in every file name, as in MagnaTagATune

ERA_SHARE = {"folk": 0.24, "medieval": 0.17, "renaissance": 0.17, "baroque": 0.23, "classic": 0.19}
KINDS = {
    "solo": 0.37,
    "duet": 0.22,
    "group": 0.15,
    "orchestra": 0.08,
    "electronica": 0.05,
    "techno": 0.07,
    "ambient": 0.06,
}
PACE = {"slow": 0.27, "medium": 0.4, "fast": 0.33}
LEVEL = {"quiet": 0.24, "medium": 0.46, "loud": 0.3}
REGISTER = {"low": 0.28, "written": 0.72}
ECHO = {"echo": 0.2, "no echo": 0.8}
ROOM = {"dry": 0.56, "room": 0.26, "hall": 0.12, "cathedral": 0.06}
DRUMS = {"none": 0.4, "beat": 0.33, "free": 0.27}
FITTING = 0.85
ERA_ROOMS = {
    "folk": ("dry",),
    "medieval": ("hall", "cathedral"),
    "renaissance": ("cathedral", "hall"),
    "baroque": ("hall", "room"),
    "classic": ("room",),
}
DRUMLESS = ("solo", "duet", "ambient")  # kinds that have no drums by definition


@dataclass(frozen=True)
class ClipPlan:
    """What is decided about a clip before its score is read.

    start: in seconds of the performance, which repeats the score without end.
    """

    index: int
    start: int
    kind: str
    pace: str
    level: str
    register: str
    echo: str
    room: str
    drums: str
    voices: tuple[Voice, ...]


@dataclass(frozen=True)
class SongPlan:
    """A piece and the clips that are taken from it, all in one folder."""

    piece: Piece
    folder: str
    track: int
    clips: tuple[ClipPlan, ...]

    def path(self, clip: ClipPlan) -> str:
        """Return `<folder>/<artist>-<album>-<track no>-<title>-<start>-<end>.mp3`."""
        p = self.piece
        return f"{self.folder}/{p.artist}-{p.album}-{self.track:02d}-{p.title}-{clip.start}-{clip.start + SECONDS}.mp3"


def split_of(folder: str) -> str:
    """Return the split of a folder: train for 0 to b, valid for c, test for d to f."""
    return next(split for split, (folders, _) in SPLITS.items() if folder in folders)


def plan(clips: int, seed: int) -> list[SongPlan]:
    """Draw the songs of a corpus of `clips` clips, in the order of the clips' indices.

    Raises EarmarkError if `clips` is not in [MIN_CLIPS, MAX_CLIPS], or if an era has too few scores.
    """
    if not MIN_CLIPS <= clips <= MAX_CLIPS:
        raise EarmarkError(f"demo.clips must be in [{MIN_CLIPS}, {MAX_CLIPS}], got {clips}: music21 has no more scores")
    rng = np.random.default_rng([seed, clips])
    shelves = _shuffled_catalogue(rng)
    songs: list[tuple[str, Piece, list[dict[str, str]]]] = []
    for split, count in _apportion(clips, {name: share for name, (_, share) in SPLITS.items()}).items():
        songs += _songs(rng, count, SPLITS[split][0], shelves)
    order = rng.permutation(len(songs))
    tracks: dict[str, int] = {}
    result: list[SongPlan] = []
    index = 0
    for place in order:
        folder, piece, cards = songs[place]
        tracks[piece.artist] = tracks.get(piece.artist, 0) + 1
        first = int(rng.integers(0, 31))  # in MagnaTagATune, too, the clips of a song follow each other
        planned = tuple(_clip(seed, index + j, first + SECONDS * j, piece.era, card) for j, card in enumerate(cards))
        result.append(SongPlan(piece, folder, tracks[piece.artist], planned))
        index += len(cards)
    return result


def _shuffled_catalogue(rng: np.random.Generator) -> dict[str, list[Piece]]:
    """Return the pieces of each era, shuffled. Its sources take turns, so that a large one cannot drown the others."""
    shelves: dict[str, list[Piece]] = {}
    for era, pieces in catalogue().items():
        stacks: dict[str, list[Piece]] = {}
        for place in rng.permutation(len(pieces)):
            stacks.setdefault(pieces[place].artist, []).append(pieces[place])
        rounds = max(len(stack) for stack in stacks.values())
        shelves[era] = [stacks[a][k] for k in range(rounds) for a in sorted(stacks) if k < len(stacks[a])]
    return shelves


def _songs(
    rng: np.random.Generator, clips: int, folders: str, shelves: dict[str, list[Piece]]
) -> list[tuple[str, Piece, list[dict[str, str]]]]:
    """Return the songs of one split: the folder, the piece and the clips' cards of each.

    The pieces are taken off the shelves, so that no other split gets them.
    """
    sizes = _sizes(rng, clips)
    eras = _deck(rng, len(sizes), ERA_SHARE)
    cards = _cards(rng, [era for era, size in zip(eras, sizes, strict=True) for _ in range(size)])
    places = rng.permutation(list(islice(cycle(folders), len(sizes))))
    songs = []
    for size, era, folder in zip(sizes, eras, places, strict=True):
        if not shelves[era]:
            raise EarmarkError(f"demo.clips: the scores of era {era} ran out; ask for fewer clips than now")
        songs.append((str(folder), shelves[era].pop(0), [cards.pop(0) for _ in range(size)]))
    return songs


def _sizes(rng: np.random.Generator, clips: int) -> list[int]:
    """Return sizes of songs that add up to `clips`: 2 to 4 clips each, or a single song of 1 if there is only 1."""
    sizes: list[int] = []
    while (left := clips - sum(sizes)) > 4:
        size = int(rng.integers(2, 5))
        sizes.append(size if left - size != 1 else size - 1 if size > 2 else 3)
    return [*sizes, left] if left else sizes


def _cards(rng: np.random.Generator, eras: list[str]) -> list[dict[str, str]]:
    """Return one card per clip, with a value of each property.

    Each property is dealt from its own shuffled deck, so that its shares hold in every split and properties are
    independent. Only instruments and rooms lean towards the eras of the clips: otherwise no era could be heard.
    """
    clips = len(eras)
    even = dict.fromkeys(DEALT, 1 / len(DEALT))
    decks: dict[str, Mapping[str, float]] = {"kind": KINDS, "pace": PACE, "level": LEVEL, "register": REGISTER}
    decks |= {"echo": ECHO, "room": ROOM, "drums": DRUMS, "lead": even}
    dealt = {name: _deck(rng, clips, shares) for name, shares in decks.items()}
    suits = {era: {name for name in DEALT if era in INSTRUMENTS[name].eras} | {*ERA_ROOMS[era]} for era in ERA_SHARE}
    for name in ("lead", "room"):
        dealt[name] = [_fitting(rng, dealt[name], suits[era]) for era in eras]
    # a solo clip uses up no second instrument; reversed, so that rounding favours those it passed over for the leads
    spare = _deck(rng, clips - dealt["kind"].count("solo"), dict(reversed(even.items())))
    dealt["second"] = [
        lead if kind == "solo" else _fitting(rng, spare, suits[era], lead)
        for lead, kind, era in zip(dealt["lead"], dealt["kind"], eras, strict=True)
    ]
    return [{name: cards[i] for name, cards in dealt.items()} for i in range(clips)]


def _fitting(rng: np.random.Generator, deck: list[str], suits: set[str], unlike: str = "") -> str:
    """Take a card off the deck: with probability FITTING the first one that suits, otherwise the top one.

    `unlike` is only taken if no other card is left.
    """
    allowed = [place for place, card in enumerate(deck) if card != unlike] or [0]
    places = [place for place in allowed if deck[place] in suits]
    return deck.pop(places[0] if places and rng.random() < FITTING else allowed[0])


def _clip(seed: int, index: int, start: int, era: str, card: dict[str, str]) -> ClipPlan:
    """Return the plan of a clip; the definition of its kind overrides what was dealt."""
    rng = np.random.default_rng([seed, index, 0])
    card = dict(card)
    if card["kind"] in DRUMLESS:
        card["drums"] = "none"
    if card["kind"] == "techno":
        card |= {"drums": "techno", "pace": "medium" if card["pace"] == "slow" else card["pace"]}
    if card["kind"] == "ambient":
        card |= {"pace": "slow", "room": "cathedral"}
    voices = ensemble(rng, card["kind"], era, card["register"] == "low", (card.pop("lead"), card.pop("second")))
    return ClipPlan(index=index, start=start, voices=voices, **card)


def _deck(rng: np.random.Generator, size: int, shares: Mapping[str, float]) -> list[str]:
    """Return `size` shuffled cards, with each value in proportion to its share."""
    cards = [value for value, count in _apportion(size, shares).items() for _ in range(count)]
    return [cards[i] for i in rng.permutation(size)]


def _apportion(size: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Return counts that add up to `size`, in proportion to the shares, by the method of largest remainders.

    >>> _apportion(4, {"solo": 0.5, "duet": 0.3, "group": 0.2})
    {'solo': 2, 'duet': 1, 'group': 1}
    """
    exact = {value: size * share for value, share in shares.items()}
    counts = {value: int(amount + 1e-9) for value, amount in exact.items()}
    rest: Sequence[str] = sorted(exact, key=lambda value: counts[value] - exact[value])
    for value in rest[: size - sum(counts.values())]:
        counts[value] += 1
    return counts
