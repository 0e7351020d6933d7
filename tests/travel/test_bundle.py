"""A bundle holds all that predicts; whatever else a file is, nothing of it is used."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.encoders import saved as write_saved

from earmark import representations
from earmark.models.saved import SavedModel
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
    dims = representations.of(heard).n_dims
    outer = replace(saved, representation=heard, dims=dims)
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
