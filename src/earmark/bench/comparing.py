"""Comparing all pairs of experiments: one bootstrap per experiment, against two in every pair."""

from __future__ import annotations

import platform
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.bench.spectral import seconds, summary
from earmark.evaluation.bootstrap import Measured, interval, p_value
from earmark.evaluation.comparison import Difference, compare
from earmark.evaluation.metrics import Array, macro_roc_auc
from earmark.evaluation.scoring import Scores

EXPERIMENTS, CLIPS, SONGS, TAGS, RESAMPLES, SEED = 20, 4_332, 1_050, 50, 1_000, 1


def bench(
    *, rounds: int = 5, experiments: int = EXPERIMENTS, clips: int = CLIPS, songs: int = SONGS, tags: int = TAGS,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:  # fmt: skip
    """Compare all pairs of experiments with made-up scores, and return what was measured as a JSON-ready dict.

    The sizes are MagnaTagATune's by default. In each of `rounds` rounds ours compares all pairs, and the peer one pair;
    `error` is the largest difference between their results. Times are seconds.
    """
    scored, targets, song_of = problem(experiments, clips, songs, tags)
    run = partial(compare, scored, targets, song_of, resamples, SEED)
    rows = {(row.first, row.second): row for row in run()}
    pairs = list(rows)
    ours, theirs, errors = [], [], []
    for number in range(rounds):
        pair = pairs[number * len(pairs) // rounds]
        peers: list[Difference] = []
        theirs.append(seconds(lambda: peers.append(pairwise(*pair, scored, targets, song_of, resamples, SEED))))  # noqa: B023
        errors += [abs(getattr(peers[0], name) - getattr(rows[pair], name)) for name in ("difference", "low", "high")]
        ours.append(seconds(run))
    return {
        "kind": "compare", "experiments": experiments, "pairs": len(pairs), "clips": clips, "songs": songs,
        "tags": tags, "resamples": resamples, "machine": platform.processor() or platform.machine(),
        "ours": summary(ours), "theirs": summary(theirs), "error": max(errors),
        "ratio": summary([len(pairs) * b / a for a, b in zip(ours, theirs, strict=True)]),
    }  # fmt: skip


def problem(
    experiments: int, clips: int, songs: int, tags: int
) -> tuple[dict[str, Scores], dict[str, NDArray[np.uint8]], dict[str, str]]:
    """Return scores, targets and songs, the same at every call. 1 to 20 % of the clips have a tag; some scores tie."""
    rng = np.random.default_rng(0)
    names = tuple(f"{i}" for i in range(clips))
    labels = (rng.random((clips, tags)) < np.geomspace(0.2, 0.01, tags)).astype(float)
    found = {}
    for i in range(experiments):
        scores = np.round(rng.random(labels.shape) + (0.2 + 0.02 * i) * labels, 4)
        found[f"experiment {i}"] = Scores(names, tuple(f"tag {tag}" for tag in range(tags)), (1,), scores[None])
    of_song = np.sort(rng.integers(0, songs, clips))
    targets = dict(zip(names, labels.astype(np.uint8), strict=True))
    return found, targets, {name: f"{song}" for name, song in zip(names, of_song, strict=True)}


def pairwise(
    first: str, second: str, experiments: dict[str, Scores], targets: dict[str, NDArray[np.uint8]],
    songs: dict[str, str], resamples: int, seed: int,
) -> Difference:  # fmt: skip
    """Compare two experiments as if there were no others: draw the resamples, and measure both on them."""
    places = [{clip: row for row, clip in enumerate(experiments[name].clip_ids)} for name in (first, second)]
    common = [clip for clip in experiments[first].clip_ids if clip in places[1]]
    scores = [
        experiments[name].values[0, [place[clip] for clip in common]]
        for name, place in zip((first, second), places, strict=True)
    ]
    labels = np.stack([targets[clip] for clip in common])
    numbers = {song: i for i, song in enumerate(dict.fromkeys(songs[clip] for clip in common))}
    drawn = np.random.default_rng(seed).multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), resamples)
    weights = drawn[:, [numbers[songs[clip]] for clip in common]].astype(np.float64)
    means = [macro_roc_auc(s, labels) for s in scores]
    drawn_each = [_macro(s, labels, weights) for s in scores]
    samples = drawn_each[0] - drawn_each[1]
    low, high = interval(samples)
    known = samples[~np.isnan(samples)]
    ahead = float(np.mean(known > 0) + np.mean(known == 0) / 2)
    first_one, second_one = (Measured(np.array([mean]), each) for mean, each in zip(means, drawn_each, strict=True))
    p = p_value(first_one, second_one, len(numbers))
    figures = len(common), means[0] - means[1], low, high, ahead, p
    return Difference(first, second, *figures, settled=False, songs=len(numbers))


def _macro(scores: Array, targets: NDArray[np.uint8], weights: Array) -> Array:
    """Return the macro ROC-AUC of every resample; weights: (resamples, clips)."""
    columns = [c for c in range(targets.shape[1]) if 0 < targets[:, c].sum() < len(targets)]
    return np.nanmean([_auc(scores[:, c], targets[:, c], weights) for c in columns], axis=0)


def _auc(scores: Array, targets: NDArray[np.uint8], weights: Array) -> Array:
    """Return the ROC-AUC of one tag in every resample, from the sums of the weights at each of its scores."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    positive = np.add.reduceat(weights[:, order] * targets[order], starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * (1 - targets[order].astype(float)), starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    wins = (positive * (below + 0.5 * negative)).sum(axis=1)
    return np.divide(wins, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def table(result: dict[str, Any]) -> str:
    """Return the result of `bench` as text."""
    ours, theirs, ratio = result["ours"], result["theirs"], result["ratio"]
    lines = [
        f"compare: {result['experiments']} experiments of {result['clips']} clips, {result['songs']} songs and "
        f"{result['tags']} tags, {result['resamples']} resamples",
        f"{'':28}{'median':>12}{'min':>12}{'max':>12}   of {ratio['n']}",
        *(
            f"{name:28}" + "".join(f"{row[key]:>10.2f} s" for key in ("median", "min", "max"))
            for name, row in ((f"earmark, {result['pairs']} pairs", ours), ("a pair on its own", theirs))
        ),
        f"{'ratio, all pairs':28}" + "".join(f"{ratio[key]:>11.1f}x" for key in ("median", "min", "max")),
        f"largest difference {result['error']:.1e}",
    ]
    return "\n".join(lines) + "\n"
