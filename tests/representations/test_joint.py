"""Several representations as one: the same time in every part, each part as it is alone, and what is refused."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from helpers.encoders import waves

from earmark import representations
from earmark.config import ConfigError, RepresentationConfig
from earmark.features import extract, standardize
from earmark.representations.joint import covered, middles
from earmark.storage import provenance, shards

RATE, SAMPLES = 16_000, 20_000
MEL = {"kind": "mel", "n_mels": 24, "n_fft": 512, "hop": 250}
CQT = {"kind": "cqt", "bins": 12, "fmin": 400.0, "hop": 500}
SCRIPT = "def encode(wave):\n    return wave.reshape(5, 4_000)[:, :3]\n"


def config(frames=20, **parts):
    return RepresentationConfig(kind="joint", rate=RATE, samples=SAMPLES, frames=frames, parts=parts)


def digest_of(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def joint(frames=20, **parts):
    return representations.of(config(frames, **parts), "both")


def alone(options):
    return representations.of(RepresentationConfig(rate=RATE, samples=SAMPLES, **options))


def test_every_part_is_as_it_is_alone_where_its_frames_are_the_common_ones():
    """In the order of their names, which no file that sorts its keys can change."""
    wave = waves()
    expected = torch.cat([alone(CQT | {"hop": 250})(wave), alone(MEL)(wave)], dim=2)
    for names in (("a", "b"), ("b", "a")):
        both = {"a": CQT | {"hop": 250}, "b": MEL}
        found = joint(81, **{name: both[name] for name in names})
        assert torch.equal(found(wave), expected)
    assert (found.axes["parts"], found.axes["part"].tolist()) == ("a b", [0] * 12 + [1] * 24)
    assert found.axes["hz"].tolist() == [*alone(CQT).axes["hz"], *alone(MEL).axes["hz"]]


def test_more_frames_are_pooled_to_their_mean_and_deviation_and_fewer_are_repeated(tmp_path):
    (tmp_path / "e.py").write_text(SCRIPT)
    encoder = {"kind": "encoder", "file": str(tmp_path / "e.py"), "pooling": "none"}
    encoder = representations.resolve(config(e=encoder | {"sha256": digest_of(tmp_path / "e.py")})).options()
    wave = waves()
    found = joint(20, e=encoder["parts"]["e"], m=MEL | {"pooling": "mean-std"})
    e, m = found(wave).split([3, 48], dim=2)
    assert torch.equal(e, wave.reshape(3, 5, 4_000)[:, :, :3].repeat_interleave(4, dim=1))
    mel = alone(MEL)(wave)
    first, last = covered(81, 250 / RATE, SAMPLES / RATE, 20)
    assert (first[0], last[-1], (first[1:] - last[:-1]).tolist()) == (
        0,
        80,
        [1] * 19,
    )  # every frame in one, none in two
    for frame, (start, end) in enumerate(zip(first, last + 1, strict=True)):
        std, mean = torch.std_mean(mel[:, start:end], dim=1, correction=0)
        torch.testing.assert_close(m[:, frame], torch.cat([mean, std], dim=1), rtol=1e-5, atol=1e-4)
    assert found.axes["seconds_per_frame"] == SAMPLES / RATE / 20


@pytest.mark.parametrize("at", [2_900, 9_000, 17_000])
def test_a_click_is_in_the_same_common_frame_of_every_part(tmp_path, at):
    """Of frames that are centred on the first sample, and of those that begin there."""
    (tmp_path / "e.py").write_text("def encode(wave):\n    return abs(wave).reshape(100, 200).max(1)[:, None]\n")
    encoder = {"kind": "encoder", "file": str(tmp_path / "e.py"), "pooling": "none"}
    heard = joint(
        10,
        e=encoder | {"sha256": digest_of(tmp_path / "e.py")},
        m=MEL | {"n_mels": 1, "hop": 100},
        s={"kind": "scattering", "T": 512, "Q": [4, 1], "max_order": 1, "oversampling": 2},
    )
    wave = torch.zeros(1, SAMPLES)
    wave[0, at] = 1
    found = heard(wave)[0]
    places = {int(found[:, heard.axes["part"] == part].sum(1).argmax()) for part in range(3)}
    assert places == {at * 10 // SAMPLES}


@pytest.mark.parametrize(
    ("n", "seconds", "begins"),
    [(114, 0.256, 0.0), (1813, 0.016, 0.0), (113, 0.256, 0.5), (9, 2.992, 0.5), (1, 29, 0.5)],
)  # fmt: skip
def test_frames_are_taken_to_lie_where_they_do_to_within_half_of_one_whatever_the_convention(n, seconds, begins):
    """Centred on the first sample of a clip of 29 s, or beginning there, with a rest at the end that is in none."""
    true = (np.arange(n) + begins) * seconds
    assert np.abs(middles(n, seconds, duration=29.0) - true).max() <= seconds / 2


def test_what_one_part_does_not_want_standardised_is_not_and_each_dim_of_the_others_is(tmp_path):
    song = {"kind": "scattering", "T": 1024, "Q": [4, 1], "normalization": "song"}
    heard = joint(10, a=song, b=MEL | {"pooling": "mean-std"})
    kept = alone(song).axes["standardized"]
    assert heard.axes["standardized"].tolist() == [*kept, *[True] * 48]
    assert "standardized" not in joint(10, b=MEL).axes
    with shards.ShardWriter(tmp_path / "f/one.h5", "features", 3, (10, heard.n_dims), "float32") as writer:
        writer.append(["1", "2", "3"], heard(waves()).numpy())
        writer.axes, writer.attributes = heard.axes, {"fingerprint": "f", "makers": {}}
    fitted = standardize.fit(tmp_path / "f", {"1", "2", "3"})
    assert (fitted.inverse_std[: len(kept)][~kept] == 1).all()
    values = (heard(waves()).numpy() - fitted.mean) * fitted.inverse_std
    np.testing.assert_allclose(values[:, :, len(kept) :].std(axis=(0, 1)), 1, rtol=1e-4)


def test_settings_are_complete_and_pinned_and_what_a_part_warns_of_is_told_with_its_name(tmp_path):
    (tmp_path / "e.py").write_text(SCRIPT)
    encoder = {"kind": "encoder", "file": str(tmp_path / "e.py")}
    sha256 = digest_of(tmp_path / "e.py")
    with pytest.raises(ConfigError, match=rf"both\.parts\.e\.sha256 is missing: write `sha256: {sha256}`, that of"):
        joint(e=encoder, m=MEL)
    held = representations.resolve(config(e=encoder | {"sha256": sha256}, m={"kind": "mel"}))
    assert held.options()["parts"]["m"] == {
        "kind": "mel", "n_fft": 512, "hop": 256, "n_mels": 96, "pooling": "mean",
    }  # fmt: skip
    assert representations.resolve(held) == held
    (tmp_path / "e.py").write_text(SCRIPT + "# another\n")
    with pytest.raises(ConfigError, match=r"^representations\.both\.parts\.e\.sha256 must be that of .*e\.py"):
        representations.of(held, "both")
    gaps = joint(m=MEL | {"hop": 1000}, c=CQT)
    assert gaps.warning("both").startswith("warning: representations.both.parts.m: hop leaves gaps between frames; 48.")
    assert gaps.unseen == alone(MEL | {"hop": 1000}).unseen


def test_the_digest_is_that_of_the_kinds_of_the_parts_and_the_stage_sees_all():
    both = representations.resolve(config(c=CQT, m=MEL))
    assert representations.consumer(both) == "features-joint+cqt+mel"
    covers = {part: set(provenance.sources(f"features-joint{part}")) for part in ("", "+mel", "+cqt+mel", "+encoder")}
    assert covers["+cqt+mel"] - covers["+mel"] == {"representations/cqt.py"}
    assert "representations/joint.py" in covers["+mel"]
    assert not {"models/linear.py", "encoders/onnx.py"} & covers["+cqt+mel"]
    assert {"models/linear.py", "encoders/onnx.py"} <= covers["+encoder"] <= covers[""]
    with pytest.raises(ValueError, match="no code is known for 'features-mell'"):
        provenance.digest("features-joint+mell")
    assert extract.about(both)[0] == provenance.digest("features-joint+cqt+mel")
    assert "onnxruntime" in representations.libraries(config(o={"kind": "encoder", "file": "x.onnx"}, m=MEL))


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({}, r"parts must name at least one part"),
        ({"m": {"n_mels": 3}}, r"parts\.m\.kind must be one of cqt, encoder, mel, scattering, waveform, got None"),
        ({"m": {"kind": "mell"}}, r"parts\.m\.kind must be one of .*, got 'mell' \(close to mel\)"),
        ({"m": {"kind": "joint", "parts": {}}}, r"parts\.m\.kind must be .*, got 'joint' \(the parts of a joint stand"),
        ({"m": MEL | {"hop": 0}}, r"parts\.m\.hop must be at least 1, got 0"),
        ({"m": MEL | {"hop": "x"}}, r"parts\.m\.hop: input should be a valid integer"),
        ({"m": MEL | {"rate": 8000}}, r"parts\.m\.rate must be left out, got 8000 \(all parts .* one wave.*: 16000\)"),
        ({"m": MEL | {"pooling": "max"}}, r"parts\.m\.pooling must be mean or mean-std, got 'max'"),
        ({"m": MEL, "s": {"kind": "encoder", "file": "no.onnx"}}, r"parts\.s\.file must be a file that exists"),
        ({"m": MEL, "c": CQT | {"hop": 4000, "pooling": "mean-std"}}, r"parts\.c\.pooling must be mean where"),
        ({"M": MEL}, r"parts\.M\.\[key\]: string should match pattern"),
    ],
)  # fmt: skip
def test_a_wrong_part_is_refused_with_its_name(parts, told):
    with pytest.raises(ConfigError, match=rf"^representations\.both\.{told}"):
        joint(**parts)


def test_an_unknown_option_and_a_number_of_frames_that_no_part_has_are_refused():
    with pytest.raises(ConfigError, match=r"^unknown key representations\.both\.parts\.m\.hopp, .*close to hop"):
        joint(m=MEL | {"hopp": 3})
    for frames in (0, 82):
        with pytest.raises(ConfigError, match=rf"^representations\.both\.frames must be in \[1, 81\], .*got {frames}"):
            joint(frames, m=MEL, c=CQT)
    with pytest.raises(ConfigError, match=r"^key representations\.both\.frames is missing"):
        representations.of(RepresentationConfig(kind="joint", rate=RATE, samples=SAMPLES, parts={"m": MEL}), "both")


def test_the_bits_of_a_clip_depend_on_no_other_of_its_batch():
    heard = joint(20, c=CQT, m=MEL | {"pooling": "mean-std"})
    wave = waves(clips=9)
    assert torch.equal(torch.cat([heard(one[None]) for one in wave]), heard(wave))
