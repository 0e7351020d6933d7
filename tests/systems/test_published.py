"""Every published system has exactly its published number of parameters, and its input has the size it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.model_checks import single_thread
from torch import nn

from earmark import models, representations
from earmark.models.networks import count_parameters
from earmark.storage import provenance
from earmark.systems import published
from earmark.systems.published import SYSTEMS, build, get

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)
MODELS = Path(models.__file__).parent
SHARED = {"layers", "networks", *(path.stem for path in (MODELS / "layers").glob("*.py"))}
FAMILIES = provenance.plugins("models")
# exact counts, as derived from the papers' tables
COUNTS = {
    "scat-4l-256h-lstm": 2_295_346,
    "scat-4l-256h-bn-lstm": 2_295_346 + 4 * 10 * 256,
    "scat-4l-256h-gru": 1_724_722,
    "scat-4l-512h-lstm": 8_260_658,
    "scat-4l-512h-bn-lstm": 8_260_658 + 4 * 10 * 512,
    "scat-4l-512h-gru": 6_201_906,
    "scat-5l-512h-gru": 7_776_306,
    "scat-5l-512h-gru-log": 7_776_306,
    "scat-6l-512h-gru": 9_350_706,
    "mel-5l-512h-gru": 9_209_394,
    "mel-5l-512h-lstm": 12_270_642,
    "cqt-5l-512h-gru": 2_482_738,
    "cqt-5l-512h-lstm": 3_306_034,
    "mel-5l-512h-gru-time": 7_258_674,
    "mel-5l-512h-lstm-time": 9_669_682,
    "cqt-5l-512h-gru-time": 1_850_674,
    "cqt-5l-512h-lstm-time": 2_463_282,
    "scat-4l-cnn": 17_365_938,
    "mirex-5l-512h-lstm": 10_339_338,
    "mel-2d-cnn": 362_418,
    "cqt-2d-cnn": 1_159_218,
    "sample-cnn-song": 2_124_466,
    "mel-bilstm": 1_021_700,
    "mel-bilstm-segments": 1_021_700,
    "mel-bilstm-2560": 1_021_700 - (227 - 182) * 50 * 50,
    "crnn": 393_906,
    "sample-cnn": 1_869_874,
    "fcn-4": 17_365_938,
    "short-chunk-cnn-res": 12_104_244,
    "musicnn": 787_159,
    "harmonic-cnn": 3_631_551,
}
COUNTS |= {  # nine or fifteen branches, of which each has two convolutions, four heads, a norm and a layer of 50 tags
    "earmark-best": 3 * sum(96 * 3 * dims + 40_182 for dims in (168, 192, 433)) + 2 * 793 * 50 + 50,
    "earmark-best-musicnn": 3 * sum(96 * 3 * dims + 40_182 for dims in (168, 192, 200, 200, 433)) + 2 * 1193 * 50 + 50,
}
STEPWISE = [name for name in COUNTS if name.endswith(("h-gru", "h-lstm")) and not name.startswith("mirex")]
COUNTS |= {f"{name}-fused": COUNTS[name] for name in STEPWISE}


def on_meta(name: str, n_tags: int, **options: object) -> nn.Module:
    """A network without storage: enough to count, at no cost."""
    with torch.device("meta"):
        return build(name, n_tags, **options)  # type: ignore[arg-type]


def gates(inputs: int, units: int, layers: int) -> int:
    """Weights and one bias of one gate over a stack."""
    return sum(units * ((inputs if layer == 0 else units) + units + 1) for layer in range(layers))


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_exactly_the_published_number(name: str) -> None:
    system = get(name)
    assert system.parameters == COUNTS[name]
    assert count_parameters(on_meta(name, system.outputs), system.counting) == COUNTS[name]


def test_every_system_that_states_its_count_is_counted_here() -> None:
    assert {name for name, system in SYSTEMS.items() if system.parameters is not None} == set(COUNTS)
    assert {system.name for system in SYSTEMS.values() if system.published} <= set(COUNTS)


@pytest.mark.parametrize("name", [n for n, s in SYSTEMS.items() if s.source.startswith("Song") and s.printed])
def test_counts_agree_with_the_printed_thousands(name: str) -> None:
    system = get(name)
    printed = int(str(system.printed).removesuffix("K"))
    counted = COUNTS[name] / 1000
    if "bn-lstm" in name:
        counted -= 4 * 10 * system.options["units"] / 1000  # printed without batch norm
    assert abs(counted - printed) < 1


def test_printed_mel_and_cqt_counts_need_the_frames_as_inputs() -> None:
    output = 512 * 50 + 50
    assert 3 * gates(1366, 512, 5) + output == COUNTS["mel-5l-512h-gru"]
    assert 4 * gates(1366, 512, 5) + output == COUNTS["mel-5l-512h-lstm"]
    assert 3 * gates(907, 256, 5) + 256 * 50 + 50 == COUNTS["cqt-5l-512h-gru"]
    for inputs in (96, 1813):  # what the text says: 1813 x 96
        assert 3 * gates(inputs, 512, 5) + output != COUNTS["mel-5l-512h-gru"]
    for inputs in (84, 1813):
        for units in (256, 512):
            assert 3 * gates(inputs, units, 5) + units * 50 + 50 != COUNTS["cqt-5l-512h-gru"]


@pytest.mark.parametrize("name", STEPWISE)
def test_the_papers_rows_have_the_papers_cells_and_a_fused_variant_without_figures(name: str) -> None:
    printed, fused = get(name), get(f"{name}-fused")
    cell = "gru" if "gru" in name else "lstm"
    assert printed.options["cell"] == f"{cell}-paper"
    assert fused.options == {**printed.options, "cell": cell}
    assert not fused.published
    assert fused.printed is None
    assert "for speed" in fused.note
    assert (fused.representation, fused.frames, fused.dims) == (printed.representation, printed.frames, printed.dims)


def test_song_s_networks_start_as_tensorflows() -> None:
    rows = [system for system in SYSTEMS.values() if system.source.startswith("Song")]
    ours = [system for system in rows if system.name.endswith("-time")]
    assert len(rows) == 14 + 1 + 10 + 4  # printed, with a logarithm, fused, and with time as time
    assert {system.options["initialization"] for system in rows if system not in ours} == {"glorot"}
    assert {system.options["initialization"] for system in ours} == {"orthogonal"}


def test_panwars_network_has_no_dropout() -> None:
    assert not [m for m in on_meta("crnn", 50).modules() if isinstance(m, nn.Dropout) and m.p]


def test_the_same_input_in_both_orientations() -> None:
    for kind, dims in (("mel", 96), ("cqt", 84)):
        for cell in ("gru", "lstm"):
            printed, time = get(f"{kind}-5l-512h-{cell}"), get(f"{kind}-5l-512h-{cell}-time")
            assert printed.options["transposed"]
            assert not time.options["transposed"]
            assert printed.dims == time.dims == dims
            assert time.frames == 1813
            assert printed.options["units"] == time.options["units"]
            assert time.options["cell"] == cell


@pytest.mark.parametrize("name", SYSTEMS)
def test_frames_and_dims_follow_from_the_representation(name: str) -> None:
    system = get(name)
    heard = system.representation
    if heard.kind == "scattering":
        frames, dims = 1 + (heard.n_samples - 1) // 4096, 433
    elif heard.kind == "waveform":
        frames, dims = heard.n_samples, 1
    elif heard.kind == "joint":
        frames, dims = heard.options["frames"], sum(system.options["parts"])
    else:
        frames = 1 + heard.n_samples // heard.options["hop"]
        dims = heard.options["n_mels" if heard.kind == "mel" else "bins"]
    assert system.dims == dims
    assert (frames - system.frames * system.n_excerpts) in range(system.frames)


def test_songs_normalisation_is_the_published_network_on_the_published_paths() -> None:
    log, song = get("scat-5l-512h-gru-log"), get("scat-5l-512h-gru")
    assert (song.family, song.options, song.recipe) == (log.family, log.options, log.recipe)
    assert dict(song.representation.options) == {**log.representation.options, "normalization": "song"}
    dims = representations.of(song.representation.config()).axes["standardized"]
    assert (len(dims), dims.sum()) == (song.dims, 1 + 76)


def test_the_whole_songs_of_the_bilstm_have_gaps_that_a_warning_names() -> None:
    """Both readings of its other framing, 227 frames at hop 2048, give 182 at hop 2560."""
    frames = get("mel-bilstm-2560").frames
    for hop, printed in ((2048, get("mel-bilstm").frames), (2560, frames)):
        assert 1 + 464_000 // hop == 1 + (465_984 - 2048) // hop == printed
    heard = representations.of(get("mel-bilstm-2560").representation.config())
    assert heard.unseen == pytest.approx(1 - 2048 / 2560, abs=1e-3)


@pytest.mark.parametrize("name", ["scat-5l-512h-gru", "mel-5l-512h-gru", "mel-2d-cnn", "mel-bilstm", "crnn", "musicnn"])
def test_a_published_input_gives_one_logit_per_tag(name: str) -> None:
    system = get(name)
    model = build(name, 12).eval()
    with torch.no_grad():
        scores = model(torch.randn(1, system.frames, system.dims))
    assert scores.shape == (1, 12)
    assert isinstance(model.get_submodule("output"), nn.Linear)  # logits: no sigmoid inside


def test_other_sizes_adapt_the_layers() -> None:
    model = build("mel-2d-cnn", 7, frames=60, dims=50).eval()
    assert model(torch.randn(2, 60, 50)).shape == (2, 7)
    model = build("cqt-5l-512h-gru", 7, frames=20, dims=5).eval()
    assert model(torch.randn(2, 20, 5)).shape == (2, 7)


def test_options_override_the_table() -> None:
    assert count_parameters(on_meta("scat-5l-512h-gru", 50, cell="gru")) == 7_776_306
    assert count_parameters(on_meta("scat-5l-512h-gru", 50, cell="lstm")) == 4 * gates(433, 512, 5) + 513 * 50


def test_an_unknown_name_is_refused_with_close_ones() -> None:
    with pytest.raises(ValueError, match=r"got 'scat-5l-512-gru': close to scat-5l-512h-gru"):
        build("scat-5l-512-gru", 50)
    with pytest.raises(ValueError, match=r"got 'zzz': known are cqt-2d-cnn, .*short-chunk-cnn-res"):
        get("zzz")


def test_an_input_that_is_too_small_names_system_limit_and_value() -> None:
    with pytest.raises(ValueError, match=r"^mel-2d-cnn: frames must be at least 46, got 20: "):
        build("mel-2d-cnn", 50, frames=20)
    with pytest.raises(ValueError, match="n_tags must be at least 1, got 0"):
        build("mel-2d-cnn", 0)


def test_build_imports_only_the_family_of_the_system() -> None:
    """In a process of its own: modules that are imported twice are not the same to the tests after this one."""
    code = "import sys; from earmark.systems.published import build; build('crnn', 50); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = {name.rpartition(".")[2] for name in done.stdout.split() if name.startswith("earmark.models.")}
    assert "crnn" in names
    assert names <= {"crnn", *SHARED}


@pytest.mark.parametrize("family", FAMILIES)
def test_families_share_only_the_shared_modules(family: str) -> None:
    imported = provenance.direct_imports(MODELS / f"{family}.py")
    assert {path.stem for path in imported if path.is_relative_to(MODELS)} <= SHARED


def test_the_table_of_systems_itself_imports_no_family() -> None:
    imported = {path.stem for path in provenance.direct_imports(Path(published.__file__))}
    assert not imported & set(FAMILIES)


def test_keras_counts_four_values_per_batch_norm_channel() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8))
    assert count_parameters(network) == 80 + 16
    assert count_parameters(network, "keras") == 80 + 32


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_a_system_hears_is_a_representation_as_params_yaml_has_it(name: str) -> None:
    heard = get(name).representation
    config = heard.config()
    assert (config.kind, config.rate, config.samples) == (heard.kind, heard.rate, heard.n_samples)
    assert {key: getattr(config, key) for key in heard.options} == dict(heard.options)
