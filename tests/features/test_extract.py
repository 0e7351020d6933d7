"""Feature shards: what is in them, when they are computed again, and by whom."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from helpers import ROOT
from helpers.features import MEL, extract, representation
from helpers.music import tone
from helpers.own_code import write_own as write_own

from earmark import representations
from earmark.config import WaveformConfig
from earmark.corpus.manifest import Clip
from earmark.decode.corpus import decode_corpus
from earmark.errors import EarmarkError
from earmark.features import extract as module
from earmark.features.dataset import read_features
from earmark.features.extract import Extractor
from earmark.features.standardize import fit_array
from earmark.storage.shards import attribute, clip_ids, open_shard


def write_wave(path: Path, seconds: float, hz: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds, hz), 16_000)


def test_features_are_the_transform_of_each_wave_in_the_shards_order(waveforms, tmp_path):
    assert extract(waveforms, tmp_path / "mel", MEL) == {"clips": 12, "computed": 12}
    transform = representations.build("mel", rate=16_000, n_samples=20_000, n_fft=512, hop=256, n_mels=40)
    with open_shard(waveforms.path("0")) as source, open_shard(tmp_path / "mel" / "0.h5") as target:
        waves = torch.from_numpy(source["waveform"][:, :20_000].astype(np.float32) / 32768)
        np.testing.assert_allclose(target["features"][:], transform(waves).numpy(), rtol=1e-5, atol=1e-5)
        assert attribute(target, "config") == MEL | {"dtype": "float32"}
        assert target["axes"]["hz"].shape == (40,)
        assert target["axes"]["seconds_per_frame"][()] == 256 / 16_000
    assert clip_ids(waveforms.path("0")) == clip_ids(tmp_path / "mel" / "0.h5")


def test_a_second_run_computes_nothing_and_other_settings_compute_everything(waveforms, tmp_path):
    extract(waveforms, tmp_path / "mel", MEL)
    assert extract(waveforms, tmp_path / "mel", MEL)["computed"] == 0
    assert extract(waveforms, tmp_path / "mel", MEL | {"hop": 128})["computed"] == 12


@pytest.mark.parametrize("link", ["hardlink_to", "symlink_to"])
def test_what_is_a_link_into_a_cache_is_replaced_and_never_written_through(waveforms, tmp_path, link):
    cache = tmp_path / "cache"
    cache.mkdir()
    extract(waveforms, tmp_path / "mel", MEL)
    content = {}
    for path in [*(tmp_path / "mel").glob("*.h5"), *waveforms.folder.glob("*.*")]:
        kept = cache / path.name
        path.rename(kept)
        kept.chmod(0o444)  # as DVC does
        getattr(path, link)(kept)
        content[kept] = kept.read_bytes()
    assert extract(waveforms, tmp_path / "mel", MEL)["computed"] == 0
    assert extract(waveforms, tmp_path / "mel", MEL | {"hop": 128})["computed"] == 12
    clips = [Clip("new", "new.mp3", "new", "new", "new", "train")]
    config = WaveformConfig(samples=30_000, max_rejected=1)
    decode_corpus(clips, tmp_path, 16_000, config, waveforms.folder)
    assert {kept: kept.read_bytes() for kept in content} == content
    assert (waveforms.folder / "index.json").stat().st_nlink == 1
    assert not (waveforms.folder / "index.json").is_symlink()


def test_a_lost_or_damaged_shard_alone_is_computed_again_with_the_same_bytes(waveforms, tmp_path):
    extract(waveforms, tmp_path / "mel", MEL)
    before = (tmp_path / "mel" / "1.h5").read_bytes()
    (tmp_path / "mel" / "1.h5").unlink()
    (tmp_path / "mel" / "c.h5").write_bytes(b"half a shard")
    (tmp_path / "mel" / ".d.h5.tmp").write_bytes(b"left by a killed run")
    assert extract(waveforms, tmp_path / "mel", MEL)["computed"] == 6
    assert (tmp_path / "mel" / "1.h5").read_bytes() == before
    assert sorted(p.name for p in (tmp_path / "mel").iterdir()) == ["0.h5", "1.h5", "c.h5", "d.h5"]


def by(version: str) -> dict[str, str]:
    return {"torch": version, "device": "cpu"}


def makers_in(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.glob("*.h5")):
        with open_shard(path) as file:
            found[path.stem] = attribute(file, "makers")["torch"]
    return found


def test_a_shard_tells_who_made_it_and_its_waveforms(waveforms, tmp_path):
    extract(waveforms, tmp_path / "mel", MEL)
    with open_shard(tmp_path / "mel/0.h5") as file:
        assert set(attribute(file, "makers")) == {"torch", "numpy", "scipy", "device", "soxr", "libsndfile"}


def test_shards_of_other_makers_stay_where_nothing_must_be_computed(waveforms, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "makers", lambda _: by("1"))
    extract(waveforms, tmp_path / "mel", MEL)
    monkeypatch.setattr(module, "makers", lambda _: by("2"))
    assert extract(waveforms, tmp_path / "mel", MEL)["computed"] == 0
    assert set(makers_in(tmp_path / "mel").values()) == {"1"}


def test_where_one_shard_must_be_computed_those_of_other_makers_are_and_it_is_said(
    waveforms, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(module, "makers", lambda _: by("1"))
    extract(waveforms, tmp_path / "mel", MEL)
    (tmp_path / "mel/c.h5").unlink()
    monkeypatch.setattr(module, "makers", lambda _: by("2"))
    capsys.readouterr()
    assert extract(waveforms, tmp_path / "mel", MEL)["computed"] == 12
    assert makers_in(tmp_path / "mel") == dict.fromkeys("01cd", "2")
    assert "features mel: 3 shards of other makers (torch 1, here 2) must be made again" in capsys.readouterr().out


def test_a_mixture_that_is_found_is_made_uniform(waveforms, tmp_path, monkeypatch):
    for version in ("1", "2"):
        monkeypatch.setattr(module, "makers", lambda _, version=version: by(version))
        extract(waveforms, tmp_path / version, MEL)
    (tmp_path / "1/0.h5").replace(tmp_path / "2/0.h5")
    assert extract(waveforms, tmp_path / "2", MEL)["computed"] == 4
    assert set(makers_in(tmp_path / "2").values()) == {"2"}


class Hungry(torch.nn.Module):
    """A transform that fits at most three clips into memory."""

    n_frames, n_dims, axes = 1, 1, {}

    def forward(self, wave):
        if len(wave) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return wave.mean(dim=1)[:, None, None]


def test_a_batch_that_does_not_fit_is_halved_with_a_message(capsys):
    engine = Extractor(representation(MEL))
    engine.transform = Hungry()
    waves = np.arange(11, dtype=np.float32)[:, None].repeat(5, axis=1)
    np.testing.assert_array_equal(engine._compute(waves)()[:, 0, 0], np.arange(11))
    assert engine.batch <= 3
    assert "do not fit into memory" in capsys.readouterr().err


def test_other_errors_are_not_taken_for_lack_of_memory():
    engine = Extractor(representation(MEL))
    with pytest.raises(EarmarkError, match=r"^representations\.mel: .*wave must be"):
        engine._compute(np.zeros((2, 7), np.float32))


OWN = """
    import numpy as np
    import torch

    from earmark.representations.base import Representation


    class Mine(Representation):
        def __init__(self, rate: int, n_samples: int) -> None:
            super().__init__("mine", rate, n_samples)
            self.n_frames, self.n_dims, self.bytes_per_clip = 4, 3, 1_000
            self.axes = {"hz": np.zeros(3), "seconds_per_frame": 1.0}

        def compute(self, wave):
            return MADE


    build = Mine
"""


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("wave.new_zeros(len(wave), 3, 4)", r"must return \(2, 4, 3\) .* gave \(2, 3, 4\) torch.float32"),
        ("wave.new_zeros(len(wave), 4, 3).double()", r"must return .*torch.float32 .* gave \(2, 4, 3\) torch.float64"),
        ("None", "must return .* gave None"),
        ("wave @ wave", r"mine\.py, line 15: RuntimeError: mat1"),
        ("wave.mean(5)", r"mine\.py, line 15: IndexError"),
    ],
)
def test_what_a_transform_of_ones_own_does_wrong_is_told_with_its_entry(write_own, made, told):
    write_own(OWN.replace("MADE", made), folder="representations")
    engine = Extractor(representation({"kind": "mine", "rate": 16_000, "samples": 20_000}), "loud")
    with pytest.raises(EarmarkError, match=rf"^representations\.loud: .*{told}") as refused:
        engine._compute(np.zeros((2, engine.transform.n_samples), np.float32))
    assert "\n" not in str(refused.value)


def test_waveforms_that_cannot_be_read_are_not_taken_for_features_that_cannot_be_written(tmp_path, monkeypatch):
    class Failing:
        file = SimpleNamespace(filename="waveforms/0.h5")

        def __len__(self):
            return 1

        def __getitem__(self, rows):
            raise OSError(errno.EIO, "Input/output error")

    opened = {"clip_id": np.array([b"a"]), "waveform": Failing()}
    monkeypatch.setattr(module.shards, "open_shard", lambda _: nullcontext(opened))
    with pytest.raises(EarmarkError, match=r"^waveforms/0.h5: waveforms from row 0 on cannot be read .*Input/output"):
        Extractor(representation(MEL)).run(tmp_path / "waveforms/0.h5", tmp_path / "mel/0.h5", "x", lambda _: None)
    assert not list((tmp_path / "mel").glob("*"))


def test_settings_that_the_transform_refuses_are_an_error_for_the_user(waveforms, tmp_path):
    """By the name of their entry, which the folder has, and not of their kind."""
    with pytest.raises(EarmarkError, match=r"^representations\.mel-song\.n_mels must be at least 1, got -1$"):
        extract(waveforms, tmp_path / "mel-song", MEL | {"n_mels": -1})
    with pytest.raises(EarmarkError, match=r"^unknown key representations\.mel-song\.hops, got 3: mel takes n_fft, "):
        extract(waveforms, tmp_path / "mel-song", MEL | {"hops": 3})
    assert not list((tmp_path / "mel-song").glob("*"))


@pytest.mark.slow
def test_an_extraction_that_is_killed_at_any_moment_ends_with_the_same_bytes_and_redoes_no_finished_shard(tmp_path):
    clips = [Clip(f"{i}", f"{i}.wav", f"{i % 12:x}", f"{i}", "", "train") for i in range(48)]
    for clip in clips:
        write_wave(tmp_path / "audio" / clip.path, 4.0, 200 + 20 * int(clip.clip_id))
    decode_corpus(clips, tmp_path / "audio", 16_000, WaveformConfig(samples=60_000), tmp_path / "waves")
    command = [
        sys.executable,
        str(ROOT / "tests/helpers/kill_and_resume.py"),
        str(tmp_path / "waves"),
        str(tmp_path / "out"),
        "20",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(trials) == 20
    assert sum(not trial["ended"] for trial in trials) >= 10
    assert sum(0 < trial["finished"] < 12 for trial in trials) >= 5


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "mel", "n_fft": 512, "hop": 256, "n_mels": 40},
        {"kind": "cqt", "bins": 60, "hop": 256},
        {"kind": "scattering", "T": 2048, "normalization": "log"},
    ],
    ids=["mel", "cqt", "scattering"],
)
def test_halves_keep_standardised_features_to_a_thousandth(waveforms, tmp_path, settings):
    settings |= {"rate": 16_000, "samples": 20_000}
    extract(waveforms, tmp_path / "whole", settings)
    extract(waveforms, tmp_path / "half", settings | {"dtype": "float16"})
    ids = [f"{i}" for i in range(10, 22)]
    (_, whole), (_, half) = (read_features(tmp_path / name, ids) for name in ("whole", "half"))
    standardizer = fit_array(whole)
    exact, stored = ((rows.astype(np.float64) - standardizer.mean) * standardizer.inverse_std for rows in (whole, half))
    assert (np.abs(stored - exact) / np.maximum(1, np.abs(exact))).max() < 1e-3
    sizes = [sum(path.stat().st_size for path in (tmp_path / name).iterdir()) for name in ("whole", "half")]
    assert sizes[1] < 0.7 * sizes[0]  # axes and clip ids weigh more here than in a real shard


def test_a_device_that_is_none_is_an_error_for_the_user(waveforms, tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_DEVICE", "gpu")
    with pytest.raises(EarmarkError, match="EARMARK_DEVICE must be cpu"):
        extract(waveforms, tmp_path / "mel", MEL)
    assert not list((tmp_path / "mel").glob("*"))


def test_gaps_between_frames_are_told_once_per_representation(waveforms, tmp_path, capfd):
    extract(waveforms, tmp_path / "sparse", MEL | {"hop": 1024})
    told = capfd.readouterr().err.splitlines()
    assert len(list((tmp_path / "sparse").glob("*.h5"))) > 1
    seen = (256 + 19 * 512) / 20_000  # half of the first frame's window lies before the clip
    share = f"{100 * (1 - seen):.1f} %"
    gaps = "hop leaves gaps between frames"
    assert told == [f"warning: representations.sparse: {gaps}; {share} of the samples lie in none"]
    extract(waveforms, tmp_path / "sparse", MEL | {"hop": 1024})  # computes nothing
    extract(waveforms, tmp_path / "dense", MEL)
    assert capfd.readouterr().err == ""
