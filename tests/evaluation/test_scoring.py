"""Scores and embeddings are means over evenly spaced excerpts, whatever the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.sealed import sealed, unsealed

from earmark.corpus.label_table import Labelled
from earmark.errors import EarmarkError
from earmark.evaluation.scoring import embed, excerpts, read_scores, score, write_scores
from earmark.features.dataset import Split
from earmark.systems import published


def test_scores_are_probabilities_whatever_the_batch():
    model = published.build("linear", 4, 6, 5).eval()
    features = torch.randn(7, 6, 5)
    scores = score(model, features, batch=2)
    assert scores.shape == (7, 4)
    assert ((scores > 0) & (scores < 1)).all()
    np.testing.assert_allclose(scores, score(model, features), rtol=1e-6)


def written(folder, seeds=(3, 1)):
    clips = (Labelled("5", "a song", "x", "test"), Labelled("8", "b", "y", "test"))
    split = Split(torch.zeros(2, 1, 1), torch.zeros(2, 2), clips, ("p", "q"), 0)
    scores = np.array([[[0.125, 1 / 3], [1e-9, 1.0]], [[0.5, 0.25], [0.75, 0.0]]])[: len(seeds)]
    write_scores(folder / "cnn.csv", split, scores, seeds)
    return folder / "cnn.csv", scores


@pytest.mark.parametrize("seeds", [(1,), (3, 1)])
def test_the_table_of_scores_survives_the_round_trip(tmp_path, seeds):
    file, scores = written(tmp_path, seeds)
    found = read_scores(file)
    assert (found.clip_ids, found.tags, found.seeds) == (("5", "8"), ("p", "q"), seeds)
    assert found.values.shape == (len(seeds), 2, 2)
    np.testing.assert_allclose(found.values, scores, rtol=1e-8)
    assert [line.split(",")[:3] for line in file.read_text().splitlines()[:3]] == [
        ["clip_id", "song", "seed"], ["5", "a song", str(seeds[0])], ["8", "b", str(seeds[0])],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace(",seed", "").replace(",3,", ",").replace(",1,", ","), "no column seed: an older"),
        (lambda text: text.replace("0.125", "nan"), "row 2 holds a score that is not finite"),
        (lambda text: text.replace("0.125", "much"), "row 2 holds no numbers, could not convert.*'much'"),
        (lambda text: text.replace("song,3", "song,x"), "row 2 holds no numbers, invalid literal"),
        (lambda text: text[: text.rindex("8,b")], "seed 1 has 1 clips, which are not the 2 of the first seed"),
        (lambda text: text.replace("8,b", "5,b"), "a clip or a tag is in it twice"),
        (lambda text: text.replace("p,q", "p,p"), "a clip or a tag is in it twice"),
        (lambda text: text.splitlines()[0] + "\n", "it holds 0 clips and 2 tags"),
    ],
)
def test_a_damaged_table_of_scores_is_named_with_what_makes_it(tmp_path, change, why):
    file, _ = written(tmp_path)
    sealed(file, change(unsealed(file)))
    with pytest.raises(EarmarkError, match=rf"cnn\.csv cannot be used: .*{why}.*; run `dvc repro evaluate@cnn`"):
        read_scores(file)


def test_a_row_of_scores_that_was_cut_short_is_named(tmp_path):
    file, _ = written(tmp_path)
    sealed(file, unsealed(file)[:-8])
    with pytest.raises(EarmarkError, match=r"cnn\.csv, row 5: 6 columns expected, got 4"):
        read_scores(file)


def test_a_changed_digit_of_a_score_is_noticed(tmp_path):
    file, _ = written(tmp_path)
    file.write_text(file.read_text().replace("0.125", "0.126"))
    with pytest.raises(EarmarkError, match=r"cnn\.csv is not what was written.*`dvc repro evaluate@cnn`"):
        read_scores(file)


def test_scores_of_excerpts_are_the_mean_over_half_overlapping_ones():
    model = published.build("linear", 4, 12, 5).eval()
    features = torch.randn(3, 12, 5)
    windows = [score(model, features[:, start : start + 4]) for start in (0, 2, 4, 6, 8)]
    np.testing.assert_allclose(score(model, features, excerpt=4), np.mean(windows, axis=0), rtol=1e-12)


def test_exclusive_classes_share_one_probability():
    model = published.build("linear", 4, 12, 5).eval()
    features = torch.randn(3, 12, 5)
    found = score(model, features, excerpt=6, exclusive=True)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    expected = [model(features[:, s : s + 6]).softmax(dim=1).detach().numpy() for s in (0, 3, 6)]
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=1e-5)


def test_an_embedding_is_the_mean_over_the_excerpts_that_scores_are_averaged_over():
    model = published.build("linear", 4, 6, 5).eval()
    features = torch.randn(7, 10, 5)
    cuts = excerpts(features, 6, 3)
    assert all(torch.equal(cut, features[:, start : start + 6]) for cut, start in zip(cuts, (0, 2, 4), strict=True))
    found = embed(model, features, 6, 3, batch=2)
    expected = np.mean([embed(model, cut, 6, 1) for cut in cuts], axis=0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    logits = model.linear(torch.from_numpy(embed(model, features, 10, 1))).double()
    np.testing.assert_allclose(torch.sigmoid(logits).detach(), score(model, features, 10, 1), rtol=1e-5)
