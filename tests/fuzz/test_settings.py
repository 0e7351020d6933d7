"""Settings changed at random: params.yaml is refused by its name and key, or means what it says."""

from __future__ import annotations

import copy
import random
import resource
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.mutation import OF_TEXTS, mutated, times
from helpers.small_data import NO_SYNONYMS

from earmark import config as settings
from earmark.errors import EarmarkError
from earmark.training.validation import judge

LONGEST = 30.0  # s for a file
MOST = 3 << 30  # bytes
SETTINGS = {
    "corpus": {"kind": "table", "audio": "music", "annotations": "music.csv", "split": "artist", "seed": 1},
    "labels": {"top": {"top": 3, "clean": False, "synonyms": str(NO_SYNONYMS)}},
    "waveforms": {"8000": {"samples": 4000, "min_seconds": 0.1, "policy": "segments", "segments": 2}},
    "representations": {
        "mel": {"kind": "mel", "rate": 8000, "samples": 3200, "n_fft": 128, "hop": 64, "n_mels": 8},
        "cqt": {"kind": "cqt", "rate": 8000, "samples": 3200, "bins": 24, "hop": 64},
        "scattering": {
            "kind": "scattering", "rate": 8000, "samples": 3200, "T": 512, "Q": [4, 1], "oversampling": 1,
            "normalization": "log",
        },
        "both": {"kind": "joint", "rate": 8000, "samples": 3200, "frames": 20, "parts": {
            "mel": {"kind": "mel", "n_fft": 128, "n_mels": 8, "hop": 64}, "cqt": {"kind": "cqt", "bins": 24, "hop": 64},
        }},
    },
    "recipes": {"short": {"optimizer": "adam", "learning_rate": 0.01, "schedule": "warm-cosine", "batch": 4,
                          "epochs": 1, "patience": 1, "clip_norm": 1.0, "excerpt": 0.5, "mixup": 0.3, "jitter": 0.3}},
    "experiments": {
        "gru": {"representation": "scattering", "labels": "top", "model": "recurrent", "recipe": "short",
                "network": {"cell": "gru", "layers": 2, "units": 8}, "seeds": [1, 2]},
        "mlp": {"representation": "mel", "labels": "top", "model": "mlp", "recipe": "short", "epochs": 2},
        "linear": {"representation": "cqt", "labels": "top", "model": "linear"},
    },
    "crossvalidations": {"folds": {"representation": "mel", "labels": "top", "model": "linear",
                                   "classes": ["a", "b"], "folds": 3, "groups": "song"}},
    "fusions": {"two": {"experiments": ["gru", "mlp"]}},
    "evaluation": {"resamples": 5, "seed": 1},
}  # fmt: skip
VALUES = (
    float("inf"), float("-inf"), float("nan"), 2**63, -(2**63), 2**31, 10**30, 16_000, -1, 0, 1, 0.5, 1e308, "",
    "../../etc/passwd", "a\0b", "x; touch X; #", "$(touch X)", "\n", "1", "null", True, None, [], {}, [[1]], {"a": 1},
    [1] * 50, "é" * 5000, "<script>", "=1+1", b"\xff",
)  # fmt: skip
NAMES = ("", "x; touch X; #", "../x", "a\0b", "A", "a b", "$(x)", "x" * 300, "-x", "con.", 7, "é", "a\nb", True, None)


def places(content, above=()):
    """Yield where every value of nested settings stands."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield *above, key
        if isinstance(value, dict | list):
            yield from places(value, (*above, key))


def at(content, place):
    for key in place:
        content = content[key]
    return content


def replace(content, chance):
    place = chance.choice(list(places(content)))
    at(content, place[:-1])[place[-1]] = chance.choice(VALUES)
    return place


def leave_out(content, chance):
    place = chance.choice([p for p in places(content) if isinstance(at(content, p[:-1]), dict)])
    del at(content, place[:-1])[place[-1]]


def rename(content, chance):
    place = chance.choice([p for p in places(content) if isinstance(at(content, p[:-1]), dict)])
    parent = at(content, place[:-1])
    parent[chance.choice(NAMES)] = parent.pop(place[-1])


def add(content, chance):
    place = chance.choice([p for p in places(content) if isinstance(at(content, p), dict)])
    at(content, place)[chance.choice(("oversampling", "n_mels", "units", "extra", *NAMES))] = chance.choice(VALUES)


def double(text, chance):
    """Write a line with a key twice, the second time with another value."""
    lines = text.splitlines()
    number = chance.choice([n for n, line in enumerate(lines) if line.rstrip()[-1:] != ":" and ": " in line])
    return "\n".join([*lines[: number + 1], lines[number].partition(": ")[0] + ": 7", *lines[number + 1 :]])


def unfold(text, chance):
    """Put aliases of aliases in front: seven levels of nine are five million values."""
    bomb = "".join(
        f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9) if i else '1'}]\n" for i in range(chance.randrange(6, 9))
    )
    return bomb + text


def changed(number: int) -> tuple[bytes, str, tuple]:
    """Return a params.yaml changed by a seed, how, and the one place that has another value, if it is so."""
    chance = random.Random(f"settings {number}")
    content = copy.deepcopy(SETTINGS)
    kind, place = chance.choice(["replace"] * 5 + ["leave_out", "rename", "add", "double", "unfold", "bytes"]), ()
    if kind == "replace":
        place = replace(content, chance)
    elif kind in ("leave_out", "rename", "add"):
        globals()[kind](content, chance)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    if kind in ("double", "unfold"):
        text = globals()[kind](text, chance)
    raw = text.encode()
    return (mutated(raw, number, OF_TEXTS)[0] if kind == "bytes" else raw), kind, place


def stays(given: object, found: object) -> bool:
    """Whether a setting that was taken means what was written: a text may be a number, an empty path is this folder."""
    if isinstance(given, int) and isinstance(found, float):
        return float(given) == found
    if isinstance(given, str) and isinstance(found, int | float):
        return float(given) == found
    return given == found or str(given) == str(found) or (isinstance(given, str) and found == (given.strip() or "."))


def tried(number: int, folder: Path) -> tuple[str, str]:
    """Return what became of a params.yaml: refused, taken, or what is wrong with either."""
    raw, kind, place = changed(number)
    path = folder / "params.yaml"
    path.write_bytes(raw)
    began = time.perf_counter()
    try:
        judge(path, folder / "settings")
        found = settings.load(path).model_dump(mode="json")
    except EarmarkError as error:
        outcome = "refused" if str(path) in str(error) else f"unnamed: {error}"
    except Exception as error:
        outcome = f"raw: {type(error).__name__}: {error}"
    else:
        outcome = "taken"
        if kind in ("double", "unfold"):
            outcome = "taken, although it says two things or unfolds"
        if place and place[0] != "representations" and not stays(at(yaml.safe_load(raw), place), at(found, place)):
            outcome = f"other: {at(found, place)!r}"
    seconds = time.perf_counter() - began
    return (outcome if seconds < LONGEST else f"slow: {seconds:.0f} s"), f"{kind} {place}"


def test_the_settings_that_are_changed_can_be_used(tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(SETTINGS))
    judge(tmp_path / "params.yaml", tmp_path / "settings")
    assert (tmp_path / "settings/verdict").is_file()


def test_changed_settings_are_refused_by_name_or_mean_what_they_say(tmp_path):
    np.seterr(all="ignore")
    found = [(number, *tried(number, tmp_path)) for number in range(times(100, 5_000))]
    bad = [one for one in found if one[1] not in ("refused", "taken")]
    print(Counter(one[1] for one in found if one not in bad), len(bad))
    assert not bad, "\n".join(map(repr, bad[:10]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < MOST


@pytest.mark.parametrize("value", [10**30, 16_000, 2**31 - 1])
@pytest.mark.parametrize("place", ["oversampling", "n_mels", "n_fft", "hop", "bins", "T", "units", "layers"])
def test_what_would_need_more_memory_than_there_is_is_refused(tmp_path, place, value):
    content = copy.deepcopy(SETTINGS)
    held = next(p for p in places(content) if p[-1] == place)
    at(content, held[:-1])[place] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = ""
    try:
        judge(tmp_path / "params.yaml", tmp_path / "settings")
    except EarmarkError as error:
        told = str(error)
    assert value < 10**6 or place in told or "weights" in told or place == "hop"  # a hop beyond the clip is warned of
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 << 20
