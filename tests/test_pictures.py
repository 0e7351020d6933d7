"""The pictures are those that `make pictures` draws, and the same inputs give the same bytes."""

from __future__ import annotations

import importlib.util
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import soundfile as sf
import yaml
from helpers import ROOT
from helpers.music import tone

_spec = importlib.util.spec_from_file_location("pictures", ROOT / "tools/pictures.py")
assert _spec is not None
assert _spec.loader is not None
pictures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(pictures)

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
PARAMS = {"corpus": {"audio": "data/demo/audio", "annotations": "data/demo/annotations_final.csv"}}


def shown(name: str) -> str:
    return (ROOT / "docs/pictures" / name).read_text(encoding="utf-8")


def test_the_graph_is_that_of_dvc_yaml():
    assert shown("pipeline.svg") == pictures.pipeline_picture(DVC, PARAMS), "dvc.yaml has changed: `make pictures`"
    needs = pictures.stages(DVC, PARAMS)
    assert needs["corpus"] >= {"demo", "code"}
    assert needs["standardize"] >= {"features", "encode", "labels"}
    assert needs["train"] >= {"features", "standardize", "labels", "settings"}
    assert needs["report"] >= {"evaluate", "crossvalidate"}


def test_a_stage_stands_below_what_it_needs():
    drawn = ET.fromstring(shown("pipeline.svg"))
    heights = {text.text: float(text.attrib["y"]) for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    needs = pictures.stages(DVC, PARAMS)
    assert set(heights) == set(needs)
    assert all(heights[above] < heights[name] for name, others in needs.items() for above in others)


def test_the_results_are_drawn_from_the_metrics(tmp_path):
    for name, value in (("a", 0.7), ("b", 0.9)):
        file = tmp_path / "experiments" / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"roc_auc": value, "low": value - 0.05, "high": value + 0.05, "pr_auc": 0.1}))
    rows = pictures.results(tmp_path)
    assert rows == [("b", 0.9, 0.85, 0.95), ("a", 0.7, 0.65, 0.75)]
    drawn = pictures.results_picture(rows)
    assert drawn == pictures.results_picture(rows)
    assert "0.900 (0.850 to 0.950)" in drawn
    ET.fromstring(drawn)


def test_the_results_of_the_readme_were_drawn_so():
    """From the figures that the picture tells: those of another corpus may be in `metrics` by now."""
    told = ET.fromstring(shown("results.svg")).findtext("{http://www.w3.org/2000/svg}desc") or ""
    figures = re.findall(r"(\S+) (\S+) \((\S+) to (\S+)\)", told)
    rows = [(name, *(float(value) for value in values)) for name, *values in figures]
    assert len(rows) >= 2
    assert shown("results.svg") == pictures.results_picture(rows)


def test_a_clip_is_drawn_in_three_representations(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    sf.write(tmp_path / "clip.wav", np.concatenate([tone(2, 300), tone(2, 2400)]), 16_000)
    drawn = pictures.clip_picture(tmp_path / "clip.wav", ROOT / "params.yaml")
    assert drawn == pictures.clip_picture(tmp_path / "clip.wav", ROOT / "params.yaml")
    for text in (drawn, shown("clip.svg")):
        tree = ET.fromstring(text)
        assert len(list(tree.iter("{http://www.w3.org/2000/svg}image"))) == 3
        words = [one.text for one in tree.iter("{http://www.w3.org/2000/svg}text")]
        assert {"mel", "constant-Q", "scattering, order 1"} <= set(words)
