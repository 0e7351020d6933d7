"""The recipes of the papers, and three that learn in a few minutes on two cores.

What a paper does not print, we chose. Song et al.: the decay (0.99 per epoch, which leaves 5 % after 300 epochs) and
the batch (32); they stop after 300 epochs, without patience. Dalla Longa et al.: both decays (0.5 per cut, 0.0005 per
iteration), the batch (32), the patience (5) and the epochs (100). Panwar et al.: the patience (10) and the learning
rate (Adam's default). Choi et al.: all but the optimizer. Won et al.: nothing; they keep the best of all epochs.
"""

from __future__ import annotations

from typing import Any

from earmark.experiments import Recipe

_ADAM: dict[str, Any] = {"optimizer": "adam", "learning_rate": 1e-3, "batch": 32, "epochs": 100, "patience": 10}
_SONG: dict[str, Any] = {"optimizer": "adam", "learning_rate": 1e-5, "batch": 32, "epochs": 300, "patience": 300}
_QUICK: dict[str, Any] = {"optimizer": "adam", "schedule": "warm-cosine", "clip_norm": 1.0}

RECIPES = {
    "song-2018": Recipe(**_SONG, schedule="exponential", decay=0.99),
    "mirex-2018": Recipe(**_SONG),
    "dalla-longa": Recipe(
        optimizer="sgd", learning_rate=1e-2, schedule="two-level", batch=32, epochs=100, patience=5, decay=0.5,
        local_decay=5e-4,
    ),
    "dalla-longa-printed": Recipe(
        optimizer="sgd", learning_rate=1e-2, schedule="two-level-printed", batch=32, epochs=100, patience=5, decay=0.5,
        local_decay=5e-4,
    ),
    "panwar": Recipe(**_ADAM),
    "choi-2016": Recipe(**_ADAM),
    "won-2020": Recipe(
        optimizer="adam", learning_rate=1e-4, schedule="adam-then-sgd", batch=16, epochs=200, patience=200, decay=0.1,
        weight_decay=1e-4, switch=80, sgd_learning_rate=1e-3, cut_every=20,
    ),
    # The mean of the weights at the end of a one-cycle rate: nothing is left to a few validation clips.
    "earmark-best": Recipe(
        optimizer="adamw", learning_rate=3e-3, schedule="one-cycle", weight_decay=0.1, batch=32, epochs=60, patience=60,
        mixup=0.4, jitter=0.3, masks=1, mask_dims=0.2, weights="last", average="ema", ema_decay=0.98,
    ),
    "quick": Recipe(**_QUICK, learning_rate=1e-3, batch=16, epochs=8, patience=5),
    # A recurrent network takes its frames one after another, so that an eighth of a clip costs an eighth of the time,
    # and eight times the steps can be taken. It learns a few hundred clips by heart within a few epochs, unless they
    # are blended and offset.
    "quick-recurrent": Recipe(
        **_QUICK, learning_rate=5e-4, batch=32, epochs=6, patience=3, excerpt=0.125, mixup=0.3, jitter=0.3
    ),
}  # fmt: skip
