"""A bundle holds all that predicts; whatever else a file is, nothing of it is used."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.encoders import saved as write_saved

from earmark import representations
from earmark.config import RepresentationConfig
from earmark.features.standardize import Standardizer
from earmark.models.saved import SavedModel
from earmark.representations import scripts
from earmark.travel import bundle
from earmark.travel.card import card, describe


@pytest.fixture
def model(tmp_path) -> Path:
    """The file of a small model on mel."""
    write_saved(tmp_path / "m.safetensors", layers=1, units=8, cell="gru")
    return tmp_path / "m.safetensors"


@pytest.fixture
def written(model, tmp_path) -> Path:
    """A bundle of it, twice."""
    about = describe([SavedModel.load(model)], "demo", "CC0", {}, {})
    bundle.write(tmp_path / "x.earmark", {"seed-1.safetensors": model, "seed-2.safetensors": model}, about, card(about))
    return tmp_path / "x.earmark"


def changed(source, target, **members):
    """Copy a ZIP archive with other or more members; None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        kept = {name: old.read(name) for name in old.namelist()} | members
        for name, content in kept.items():
            if content is not None:
                new.writestr(name, content)
    return target


def told(path, **changes):
    """Return what a bundle says of itself, with other values."""
    with zipfile.ZipFile(path) as archive:
        return json.dumps(json.loads(archive.read("bundle.json")) | changes).encode()


def test_what_is_written_comes_back(written, model, tmp_path):
    (tmp_path / "open").mkdir()
    found = bundle.read(written, tmp_path / "open")
    expected = SavedModel.load(model)
    assert len(found.models) == 2
    for one in found.models:
        assert (one.tags, one.representation, one.waveform) == (
            expected.tags,
            expected.representation,
            expected.waveform,
        )
        assert all(torch.equal(one.weights[name], weights) for name, weights in expected.weights.items())
    assert found.about["corpus"] == "demo"
    assert found.card.startswith("# mine\n")


def test_a_name_of_a_member_that_is_no_text_is_told(written, tmp_path):
    content = written.read_bytes()
    damaged = content.replace(b"card.md", b"c\xff\xfed.md").replace(b"\0\0\0\0\0\0!", b"\0\x08\0\0\0\0!")
    written.write_bytes(damaged)
    (tmp_path / "open").mkdir()
    with pytest.raises(bundle.BundleError, match=r"x\.earmark is no bundle of earmark"):
        bundle.read(written, tmp_path / "open")


def test_the_same_models_give_the_same_bytes(written, model, tmp_path):
    about = describe([SavedModel.load(model)], "demo", "CC0", {}, {})
    bundle.write(tmp_path / "y.earmark", {"seed-2.safetensors": model, "seed-1.safetensors": model}, about, card(about))
    assert written.read_bytes() == (tmp_path / "y.earmark").read_bytes()


def test_an_encoder_travels_with_the_model_that_hears_through_it(model, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(model, elsewhere / "inner.safetensors")
    saved = SavedModel.load(model)
    heard = representations.resolve(
        saved.representation.model_copy(update={"kind": "encoder"}).with_options(
            {"file": str(elsewhere / "inner.safetensors")}
        )
    )
    frames, dims = (transform := representations.of(heard)).n_frames, transform.n_dims
    plain = Standardizer(np.zeros(dims, np.float32), np.ones(dims, np.float32), 9)
    taken = {"frames": frames, "network_frames": frames, "training": {"excerpt_frames": frames, "excerpts": 1}}
    outer = replace(saved, representation=heard, dims=dims, standardizer=plain, **taken)
    outer.save(tmp_path / "outer.safetensors")
    about = describe([outer], "demo", "CC0", {}, {})
    bundle.write(tmp_path / "x.earmark", {"seed-1.safetensors": tmp_path / "outer.safetensors"}, about, card(about))
    shutil.rmtree(elsewhere)
    (tmp_path / "open").mkdir()
    (found,) = bundle.read(tmp_path / "x.earmark", tmp_path / "open").models
    assert representations.of(found.representation).n_dims == dims


def test_somebodys_code_does_not_travel(model, tmp_path):
    saved = SavedModel.load(model)
    own = saved.representation.with_options({"file": "mine.py"})
    replace(saved, representation=own).save(tmp_path / "own.safetensors")
    with pytest.raises(bundle.BundleError, match=r"mine\.py cannot be in a bundle: .* whoever opens"):
        bundle.write(tmp_path / "x.earmark", {"seed-1.safetensors": tmp_path / "own.safetensors"}, {}, "")
    assert not (tmp_path / "x.earmark").exists()


def heard_by(model, representation, path):
    """Write a model with other settings of what it hears."""
    replace(SavedModel.load(model), representation=representation).save(path)
    return path


def through(model, file, **options):
    kept = {"rate": 16_000, "samples": 28_000, "file": str(file)}
    return heard_by(model, RepresentationConfig(kind="encoder", **kept, **options), model.parent / "outer.safetensors")


def test_a_python_file_in_a_front_does_not_travel(model, tmp_path):
    outer = through(model, model, front={"kind": "encoder", "file": "mine.py"})
    with pytest.raises(bundle.BundleError, match=r"mine\.py cannot be in a bundle"):
        bundle.write(tmp_path / "x.earmark", {"seed-1.safetensors": outer}, {}, "")


def test_an_encoder_that_hears_through_a_file_itself_does_not_travel(model, tmp_path):
    inner = through(model, "mine.py").rename(tmp_path / "inner.safetensors")
    outer = through(model, inner)
    with pytest.raises(bundle.BundleError, match=r"inner\.safetensors cannot .* it hears through mine\.py itself"):
        bundle.write(tmp_path / "x.earmark", {"seed-1.safetensors": outer}, {}, "")


@pytest.mark.parametrize("nested", [False, True])
def test_a_bundle_names_no_file_that_is_not_in_it(model, tmp_path, monkeypatch, nested):
    script = tmp_path / "mine.py"
    script.write_text("def encode(wave): return wave")
    inner = through(model, script).rename(tmp_path / "inner.safetensors")
    outer = through(model, inner) if nested else through(model, model, front={"kind": "encoder", "file": str(script)})
    with monkeypatch.context() as patch:  # as somebody else would write it
        patch.setattr(scripts, "files", lambda heard: [Path(heard.options()["file"])])
        patch.setattr(bundle, "_heard_through", lambda _: [])
        bundle.write(tmp_path / "x.earmark", {"seed-1.safetensors": outer}, {}, "")
    (tmp_path / "open").mkdir()
    told_of = r"inner\.safetensors hears through .*mine\.py itself" if nested else r"mine\.py', which is not in it"
    with pytest.raises(bundle.BundleError, match=rf"x\.earmark is no bundle of earmark: .*{told_of}"):
        bundle.read(tmp_path / "x.earmark", tmp_path / "open")


def test_a_member_whose_name_is_too_long_is_told_with_the_bundle(written, tmp_path):
    name = "x" * 300 + ".safetensors"
    with zipfile.ZipFile(written) as archive:
        about = json.loads(archive.read("bundle.json"))
        content = archive.read("seed-1.safetensors")
    about["members"][name] = about["members"]["seed-1.safetensors"]
    bad = changed(written, tmp_path / "bad.earmark", **{"bundle.json": json.dumps(about).encode(), name: content})
    (tmp_path / "inside").mkdir()
    with pytest.raises(bundle.BundleError, match=r"bad\.earmark: x+\.safetensors cannot be written to .*: File name"):
        bundle.read(bad, tmp_path / "inside")


@pytest.mark.parametrize(
    ("damage", "told_of"),
    [
        (lambda _, t: t.write_bytes(b"no ZIP"), "no bundle of earmark, or damaged"),
        (lambda p, t: t.write_bytes(p.read_bytes()[:-300]), "no bundle of earmark, or damaged"),
        (lambda _, t: t.write_bytes(b""), "no bundle of earmark, or damaged"),
        (lambda p, t: changed(p, t, **{"bundle.json": None}), "it has no bundle.json"),
        (lambda p, t: changed(p, t, **{"bundle.json": b"[1"}), "bundle.json cannot be read"),
        (lambda p, t: changed(p, t, **{"bundle.json": b"{}"}), "bundle.json cannot be read"),
        (lambda p, t: changed(p, t, **{"bundle.json": told(p, format=2, earmark="9.1")}), r"format 2 \(earmark 9.1\)"),
        (lambda p, t: changed(p, t, **{"card.md": b"other"}), "card.md is not what was written"),
        (lambda p, t: changed(p, t, **{"more.py": b"print()"}), "its members are not those"),
        (lambda p, t: changed(p, t, **{"seed-1.safetensors": None}), "its members are not those"),
        (lambda p, t: changed(p, t, **{"bundle.json": told(p, models=[])}), "holds no model"),
        (
            lambda p, t: changed(p, t, **{"bundle.json": told(p, models=["seed-1.safetensors"] * 2)}),
            "names a model twice, among seed-1.safetensors, seed-1.safetensors",
        ),
    ],
)
def test_what_is_no_bundle_is_refused_with_its_reason(written, tmp_path, damage, told_of):
    target = tmp_path / "bad.earmark"
    damage(written, target)
    with pytest.raises(bundle.BundleError, match=told_of) as caught:
        bundle.read(target, tmp_path)
    assert str(target) in str(caught.value)


@pytest.mark.parametrize(
    "name", ["../up.safetensors", "/root.safetensors", "a\\b.safetensors", ".hidden.safetensors", "x.py"]
)
def test_a_member_stays_in_the_folder(written, tmp_path, name):
    content = (tmp_path / "m.safetensors").read_bytes()
    with zipfile.ZipFile(written) as archive:
        about = json.loads(archive.read("bundle.json"))
    about["members"][name] = about["members"]["seed-1.safetensors"]
    bad = changed(written, tmp_path / "bad.earmark", **{"bundle.json": json.dumps(about).encode(), name: content})
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(bundle.BundleError, match="a member must be a plain file name"):
        bundle.read(bad, inside)
    assert not list(inside.iterdir())


def test_a_bomb_is_refused_before_it_is_unpacked(written, tmp_path):
    bad = tmp_path / "bad.earmark"
    shutil.copy(written, bad)
    with zipfile.ZipFile(bad, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.safetensors", bytes(50_000_000))
    with pytest.raises(bundle.BundleError, match=r"'zeros\.safetensors' is compressed, or larger than the file"):
        bundle.read(bad, tmp_path)


def test_a_bundle_that_is_absent_says_how_one_is_made(tmp_path):
    with pytest.raises(bundle.BundleError, match=r"does not exist; `earmark bundle EXPERIMENT -o best\.earmark`"):
        bundle.read(tmp_path / "best.earmark", tmp_path)


def test_every_flipped_byte_is_noticed(written, tmp_path):
    content = bytearray(written.read_bytes())
    inside = tmp_path / "inside"
    inside.mkdir()
    expected = bundle.read(written, inside)
    for place in range(0, len(content), len(content) // 60):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        (tmp_path / "flipped.earmark").write_bytes(flipped)
        try:
            found = bundle.read(tmp_path / "flipped.earmark", inside)
        except bundle.BundleError:
            continue
        assert found.about == expected.about  # a byte that means nothing, such as a date
        for ours, theirs in zip(found.models, expected.models, strict=True):
            assert all(torch.equal(ours.weights[name], theirs.weights[name]) for name in theirs.weights)
