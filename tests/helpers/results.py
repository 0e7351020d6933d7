"""What a pipeline leaves of two experiments on three tags, one of which has a hostile name, without running it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from earmark.config import Config
from earmark.files import write_csv, write_json
from earmark.storage import sealed_csv
from helpers import ROOT
from helpers.metrics import tagged

HOSTILE = '<img src=x onerror="window.hacked=1">\'&</script>'
EVIL = (  # ways from a text into HTML: an element, an attribute, the end of a script or of a title
    HOSTILE, "<script>window.hacked=1</script>", '" onmouseover="window.hacked=1" autofocus onfocus="window.hacked=1',
    "</script><script>window.hacked=1</script>", "</title></textarea></style><svg onload=window.hacked=1>",
    "{{ 7 * 7 }}${window.hacked=1}",
)  # fmt: skip
TAGS = ("piano", HOSTILE, "drums")
NAMES = ("net", "linear")
CLIPS = 40


def config(**sections: object) -> Config:
    """Return the settings of two experiments on the labels ``top50``."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    net = {"representation": "mel", "labels": "top50", "model": "convolutional", "recipe": "quick"}
    experiments = {"net": net, "linear": {"representation": "mel", "labels": "top50", "model": "linear"}}
    return Config.model_validate(content | {"experiments": experiments} | sections)


def targets() -> np.ndarray:
    """(CLIPS, tags); every tag has both classes."""
    rows = np.random.default_rng(5).random((CLIPS, len(TAGS))) < 0.4
    rows[0], rows[1] = 1, 0
    return rows.astype(np.uint8)


def write_results(root: Path) -> tuple[Path, Path, Path]:
    """Write ``metrics``, ``scores`` and ``labels`` below ``root``, and return the three folders."""
    metrics, scores, labels = root / "metrics", root / "data/scores", root / "data/labels"
    truth, rng = targets(), np.random.default_rng(6)
    clips = [f"c{number:02}" for number in range(CLIPS)]
    songs = [f"song{number // 2}" for number in range(CLIPS)]
    rows = [[c, s, f"artist-{s}", "test", *t] for c, s, t in zip(clips, songs, truth.tolist(), strict=True)]
    sealed_csv.write(labels / "top50/labels.csv", ("clip_id", "song", "artist", "split", *TAGS), rows)
    for name, skill, auc in (("net", 0.5, 0.9), ("linear", 0.2, 0.75)):
        tagged(metrics, name, auc)
        values = np.clip(rng.random(truth.shape) * (1 - skill) + skill * truth, 0, 1).round(4)
        rows = [[c, s, 1, *v] for c, s, v in zip(clips, songs, values.tolist(), strict=True)]
        sealed_csv.write(scores / f"{name}.csv", ("clip_id", "song", "seed", *TAGS), rows)
        found = [[tag, int(truth[:, at].sum()), auc - 0.1 * at, 0.5, 0.5] for at, tag in enumerate(TAGS)]
        found[2][4] = ""  # no threshold
        write_csv(metrics / f"tags/{name}.csv", ("tag", "positives", "roc_auc", "pr_auc", "threshold"), found)
        write_csv(metrics / f"roc/{name}.csv", ("fpr", "tpr"), [[0, 0], [0.5, auc], [1, 1]])
    header = ("epoch", "train_loss", "valid_loss", "valid_roc_auc", "learning_rate")
    write_csv(metrics / "training/net.csv", header, [[0, 0.6, 0.5, 0.7, 0.1], [1, 0.4, 0.45, 0.8, 0.1]])
    write_csv(metrics / "training/linear.csv", header, [])
    part = {"clips": CLIPS, "songs": CLIPS // 2, "tags_without_positives": 0}
    leaks = {"songs_in_several_splits": 3, "test_clips_whose_song_trains": 6}
    write_json(metrics / "labels/top50.json", {"clips": CLIPS, "train": part, "valid": part, "test": part} | leaks)
    write_csv(metrics / "positives/top50.csv", ("tag", "train", "valid", "test"), [[tag, 9, 8, 7] for tag in TAGS])
    write_json(metrics / "decode/16000.json", {"clips": CLIPS, "rejected": 2, "rejected_as_known": 1})
    return metrics, scores, labels
