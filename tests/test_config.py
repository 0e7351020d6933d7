"""The settings of params.yaml: which are valid, and errors that name the key, the limit and the value."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import ROOT

from earmark import representations
from earmark.config import ConfigError, RepresentationConfig, entry, load
from earmark.experiments import Recipe


def params() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def loaded_with(tmp_path: Path, *path: str, value: Any) -> None:
    changed = copy.deepcopy(params())
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(changed), encoding="utf-8")
    load(file)


def test_the_projects_own_params_are_valid():
    config = load(ROOT / "params.yaml")
    assert config.waveforms[16000].samples == 465_984
    assert config.representations["mel"].options()["hop"] == 256


def fusing(tmp_path, **entry):
    linear = {"representation": "mel", "labels": "top50", "model": "linear"}
    content = params() | {"experiments": {"one": linear, "two": linear, "other": linear | {"labels": "few"}}}
    content["labels"]["few"] = content["labels"]["top50"] | {"top": 5}
    content["fusions"] = {"both": {"experiments": ["one", "two"]} | entry}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    return load(tmp_path / "params.yaml").fusions["both"]


def test_a_fusion_names_experiments_of_the_same_labels_and_what_is_averaged(tmp_path):
    found = fusing(tmp_path, weights=[2, 0.5])
    assert (found.of, found.weights) == ("probabilities", (2, 0.5))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"experiments": ["one", "twoo"]}, r"experiments must be experiments, got 'twoo': close to two"),
        ({"experiments": ["one", "other"]}, r"experiments must have the same labels, got one top50, other few"),
        ({"experiments": ["one", "one"]}, r"experiments must differ from each other, got one, one"),
        ({"experiments": ["one"]}, r"experiments: tuple should have at least 2 items"),
        ({"of": "ranks"}, r"of: input should be 'probabilities' or 'logits', got 'ranks'"),
        ({"weights": [1]}, r"weights must be one per experiment, 2, and not all 0, got \[1\.0\]"),
        ({"weights": [0, 0]}, r"weights must be .* not all 0"),
        ({"weights": [1, -1]}, r"weights\.1: input should be greater than or equal to 0"),
        ({"weights": [1e308, 1e308]}, r"weights\.0: input should be less than or equal to 1000000, got 1e\+308"),
        ({"weights": [5e-324, 1]}, r"weights must be 0 or at least 1e-06, got 4.94066e-324"),
        ({"weights": [0, float("inf")]}, r"weights\.1: input should be a finite number, got inf"),
        ({"weight": [1, 1]}, r"weight, got \[1, 1\]"),
    ],
)
def test_a_fusion_that_cannot_be_made_is_refused(tmp_path, entry, told):
    with pytest.raises(ConfigError, match=rf"fusions\.both[.:] ?{told}"):
        fusing(tmp_path, **entry)


def test_a_fusion_has_a_name_of_its_own(tmp_path):
    name, other, *_ = params()["experiments"]
    with pytest.raises(ConfigError, match=rf"fusions\.{name} must have another name: experiments\.{name} is there"):
        loaded_with(tmp_path, "fusions", value={name: {"experiments": [name, other]}})


def test_an_experiment_on_several_representations_is_told_how(tmp_path):
    wrong = {"representations": ["mel", "cqt"], "labels": "top50", "model": "linear"}
    told = r"experiments\.linear: unknown key representations, got \['mel', 'cqt'\]: .*kind: joint.*fusions"
    with pytest.raises(ConfigError, match=told):
        loaded_with(tmp_path, "experiments", "linear", value=wrong)


def test_sections_are_immutable():
    config = load(ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        config.labels["top50"].top = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("labels", "top50", "topp"), 5, r"unknown key labels\.top50\.topp, got 5"),
        (("representations", "mel", "kind"), "mell", r"representations\.mel\.kind: must be one of .*, got 'mell'"),
        (
            ("representations", "mel", "rate"),
            12000,
            r"representations\.mel\.rate must be one of waveforms \[16000\], got 12000",
        ),
        (
            ("representations", "mel", "samples"),
            500000,
            r"samples must be at most waveforms\.16000\.samples=465984, got 500000",
        ),
        (
            ("experiments", "linear", "representation"),
            "mell",
            r"experiments\.linear\.representation must be one of .*'mell'",
        ),
        (
            ("experiments", "mel-2d-cnn", "recipe"),
            "quik",
            r"experiments\.mel-2d-cnn\.recipe must be one of quick, .*got 'quik': close to quick",
        ),
        (
            ("waveforms", "16000", "max_rejected"),
            2,
            r"waveforms\.16000\.max_rejected: .*less than or equal to 1, got 2",
        ),
        (
            ("corpus", "kind"),
            "gtzan",
            r"corpus\.kind: must be one of .*demo, fma, folders, .*, table, got 'gtzan'",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_limit(tmp_path, path, value, message):
    with pytest.raises(ConfigError, match=message):
        loaded_with(tmp_path, *path, value=value)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("mel", {"hopp": 5}, r"unknown key representations\.mine\.hopp, got 5: mel takes n_fft, hop, n_mels"),
        ("waveform", {"hop": 5}, r"unknown key representations\.mine\.hop, got 5: waveform takes no options"),
        ("mel", {"hop": "x"}, r"representations\.mine\.hop: input should be a valid integer, .*got 'x'"),
        ("mel", {"hop": 10**30}, r"representations\.mine\.hop: input should be less than 2147483648, got 1000"),
        ("mel", {"hop": None}, r"representations\.mine\.hop: input should be a valid integer, got None"),
        ("mel", {"hop": -256}, r"representations\.mine\.hop must be at least 1, got -256"),
        ("mel", {"fmin": float("nan")}, r"representations\.mine\.fmin: .*finite number, got nan"),
        ("scattering", {"bank": "x"}, r"representations\.mine\.bank: .*'scatnet' or 'kymatio', got 'x'"),
        ("scattering", {"max_order": 3}, r"representations\.mine\.max_order: .*1 or 2, got 3"),
        ("scattering", {"Q": [True, 1]}, r"representations\.mine: Q must not be true or false, got \[True, 1\]"),
        ("scattering", {"Q": [8]}, r"key representations\.mine\.Q\.1 is missing"),
    ],
)
def test_an_option_of_a_representation_is_refused_where_it_is_used(tmp_path, kind, options, message):
    """Only the kind knows its options."""
    section = {"mine": {"kind": kind, "rate": 16000, "samples": 20_000} | options}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params() | {"representations": section, "experiments": {}}))
    found = load(tmp_path / "params.yaml")
    with pytest.raises(ConfigError, match=f"^{message}"):
        representations.of(found.representations["mine"], "mine")


def test_a_default_that_is_spelled_out_is_no_other_setting():
    common = {"kind": "mel", "rate": 16_000, "samples": 20_000}
    spelled_out = common | {"dtype": "float32", "n_fft": 512, "hop": "256", "fmin": 0, "fmax": None, "htk": False}
    found = [representations.resolve(RepresentationConfig(**settings)) for settings in (common, spelled_out)]
    assert found[0] == found[1]
    assert found[0].model_dump(mode="json") == common | {"dtype": "float32", "n_fft": 512, "hop": 256, "n_mels": 96}
    assert representations.resolve(found[0]) == found[0]
    htk = representations.resolve(RepresentationConfig(**common, htk=True))
    assert htk.options() == found[0].options() | {"htk": True}


def test_shards_and_models_hold_all_options_of_a_kind():
    """Stored settings must not change. A new option must be marked as rare, or all features are computed again."""
    common = {"rate": 16_000, "samples": 464_000}
    scattering = {
        "T": 8192, "Q": [8, 1], "oversampling": 1, "bank": "scatnet", "padding": "fast", "max_order": 2,
        "normalization": "log",
    }  # fmt: skip
    options = {
        "scattering": scattering,
        "mel": {"n_fft": 512, "hop": 256, "n_mels": 96},
        "cqt": {"bins": 84, "bins_per_octave": 12, "hop": 256},
        "waveform": {},
    }
    assert set(options) <= set(representations.kinds())
    for kind, expected in options.items():
        given = RepresentationConfig(kind=kind, **common)
        stored = representations.resolve(given).model_dump(mode="json")
        assert list(stored.items()) == [*{"kind": kind, **common, "dtype": "float32", **expected}.items()]
        assert representations.resolve(RepresentationConfig.model_validate(stored)).model_dump(mode="json") == stored


def test_settings_are_read_without_torch():
    """Every stage reads them, and some need no transform."""
    code = (
        "import sys; from pathlib import Path; from earmark.config import load; "
        f"load(Path({str(ROOT / 'params.yaml')!r})); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_key_is_named(tmp_path):
    changed = params()
    del changed["labels"]["top50"]["top"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"key labels\.top50\.top is missing"):
        load(tmp_path / "params.yaml")


def test_text_that_is_no_yaml_is_an_error(tmp_path):
    (tmp_path / "params.yaml").write_text("labels: [", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"does not exist: run this in the root of the project, .*--params"),
        (b"", r"must hold the sections corpus, labels, .*, got nothing"),
        (b"# nothing but a comment\n", "got nothing"),
        (b"- corpus\n- labels\n", "must hold the sections .*, got a list"),
        (b"corpus", "must hold the sections .*, got a str"),
        (b"\xff\xfec\x00o\x00", "is not UTF-8 at byte 0"),
        (b"\x89PNG\r\n\x1a\n\x00", "is not UTF-8 at byte 0"),
        (b"corpus: \x00", "not valid YAML"),
        (b"corpus: !!python/object/apply:os.system [ls]", "not valid YAML: could not determine a constructor"),
        (b"[" * 3000, "nested too deeply"),
        (b"seed: " + b"9" * 5000, "holds a value that cannot be read"),
        (b"day: 2018-13-45", "holds a value that cannot be read: month must be in 1..12"),
        (b"a: 1\nb: 2\na: 3\n", "line 3: the key 'a' stands in line 1 already"),
        (b"waveforms:\n  16000: {samples: 1}\n  '16000': {samples: 2}\n", "line 3: the key '16000' stands in line 2"),
        (b"a: {b: 1, b: 2}\n", "line 1: the key 'b' stands in line 1 already"),
        (b"a: &a [*a]\n", "line 1: an alias stands inside of what it stands for"),
    ],
)
def test_a_file_that_is_no_params_yaml_is_explained(tmp_path, content, message):
    file = tmp_path / "params.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load(file)


def test_a_file_that_cannot_be_opened_is_explained(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory; a folder stands where a file is expected"):
        load(tmp_path)

    def refused(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refused)  # root may read everything
    with pytest.raises(ConfigError, match=r"params\.yaml cannot be read: Permission denied; .*owner and mode"):
        load(tmp_path / "params.yaml")


@pytest.mark.parametrize("bomb", ["&{i} [{nine}]", "&{i} {{<<: [{nine}]}}"])
def test_aliases_that_unfold_without_end_are_refused_at_once(tmp_path, bomb):
    first = "a0: &0 {k: v}\n"
    lines = [f"a{i}: " + bomb.format(i=i, nine=",".join([f"*{i - 1}"] * 9)) for i in range(1, 12)]
    (tmp_path / "params.yaml").write_text(first + "\n".join(lines))
    with pytest.raises(ConfigError, match="aliases unfold to over 1,000,000 values"):
        load(tmp_path / "params.yaml")


def test_anchors_and_merge_keys_are_still_yaml(tmp_path):
    changed = params() | {"experiments": {}}
    text = yaml.safe_dump(changed).replace("experiments: {}\n", "")
    text += "experiments:\n  a: &a {representation: mel, labels: top50, model: linear}\n  b: {<<: *a, seeds: [2]}\n"
    (tmp_path / "params.yaml").write_text(text)
    found = load(tmp_path / "params.yaml").experiments
    assert found["b"] == found["a"].model_copy(update={"seeds": (2,)})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("experiments",), ["linear"], r"experiments must be a mapping of settings, got \['linear'\]"),
        (("corpus",), "demo", r"corpus must be a mapping of settings, got 'demo'"),
        (("waveforms", "16000"), 5, r"waveforms\.16000 must be a mapping of settings, got 5"),
        (("labels",), None, r"labels must be a mapping of settings, got None"),
        (("experiments", "mel-2d-cnn", "learning_rate"), float("nan"), r"learning_rate: .*finite number, got nan"),
        (("experiments", "mel-2d-cnn", "learning_rate"), float("inf"), r"learning_rate: .*finite number, got inf"),
        (("waveforms", "16000", "min_seconds"), float("inf"), r"min_seconds: .*finite number, got inf"),
        (("representations", "mel", "samples"), 10**30, r"samples: .*less than 2147483648, got 1000000000000"),
        (("experiments", "linear", "seeds"), [2**32], r"seeds\.0: .*less than 4294967296, got 4294967296"),
        (("experiments", "linear", "seeds"), [1, 1], r"seeds: must differ from each other, got \[1, 1\]"),
        (("experiments", "linear", "seeds"), [], r"seeds: .*at least 1 item"),
        (("experiments", "linear", "seed"), 2, r"experiments\.linear: unknown key seed, got 2: close to seeds"),
        (
            ("experiments", "mel-2d-cnn", "units"),
            2,
            r"mel-2d-cnn: unknown key units, got 2.*; an experiment takes .*stand under `network`",
        ),
        (
            ("experiments", "mel-2d-cnn", "labels"),
            "top5",
            r"mel-2d-cnn\.labels must be one of top50, got 'top5': ",
        ),
        (
            ("experiments", "linear", "model"),
            "liner",
            r"linear\.model: must be one of .*: close to linear",
        ),
        (("recipes", "quick", "decya"), 0.1, r"unknown key recipes\.quick\.decya, got 0\.1"),
        (("recipes", "quick", "masks"), 2, r"recipes\.quick: masks goes with mask_frames or mask_dims above 0"),
        (("recipes", "quick", "switch"), 2, r"recipes\.quick: switch goes with schedule: adam-then-sgd, got 'warm-cos"),
        (
            ("recipes", "quick", "excerpt"),
            2.5,
            r"must be a share up to 1 or a whole number of frames, got 2\.5",
        ),
        (("recipes", "quick", "places"), "fixed", r"places: fixed needs excerpts, the number of these places"),
        (("evaluation", "seed"), -1, r"evaluation\.seed: .*greater than or equal to 0, got -1"),
        (("experiments", "linear", "seeds"), [True], r"seeds must not be true or false, got \[True\]"),
        (("representations", "mel", "rate"), 16000.0, r"rate: must be a sampling rate in digits, .* got 16000\.0"),
        (
            ("representations", "mel", "rate"),
            "016000",
            r"rate: must be a sampling rate in digits, .* got '016000'",
        ),
        (("waveforms",), {"016000": {"samples": 5}}, r"must be a sampling rate in digits, .* got '016000'"),
        (("waveforms",), {"\uff11\uff16000": {"samples": 5}}, r"must be a sampling rate in digits"),
    ],
)
def test_sections_and_numbers_that_cannot_be_are_named(tmp_path, path, value, message):
    with pytest.raises(ConfigError, match=message):
        loaded_with(tmp_path, *path, value=value)


def test_a_long_value_is_shown_in_short(tmp_path):
    with pytest.raises(ConfigError) as refused:
        loaded_with(tmp_path, "labels", "top50", "topp", value=list(range(10_000)))
    assert len(str(refused.value)) < 300


def test_two_experiments_of_one_name_are_refused_with_both_lines(tmp_path):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    line = "  linear: {representation: scattering, labels: top50, model: linear}\n"
    assert text.count(line) == 1
    (tmp_path / "params.yaml").write_text(text.replace(line, 2 * line), encoding="utf-8")
    first = text[: text.index(line)].count("\n") + 1
    with pytest.raises(ConfigError, match=rf"line {first + 1}: the key 'linear' stands in line {first} already"):
        load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"recipe": "quik"}, "own.recipe must be one of quick, quick-recurrent, got 'quik': close to quick"),
        ({"recipe": "quick", "epoch": 3}, "own: unknown key epoch, got 3: close to epochs; an experiment takes"),
        ({"recipe": "quick", "epochs": 0}, "own.epochs: input should be greater than 0, got 0"),
        ({"recipe": "quick", "switch": 3}, "own: switch goes with schedule: adam-then-sgd, got 'warm-cosine'"),
        ({"epochs": 3}, "key experiments.own.optimizer is missing"),
    ],
)
def test_a_recipe_and_values_of_one_are_judged_where_they_are_named(tmp_path, values, message):
    experiment = {"representation": "mel", "labels": "top50", "model": "convolutional"} | values
    with pytest.raises(ConfigError) as caught:
        loaded_with(tmp_path, "experiments", "own", value=experiment)
    assert message in str(caught.value)


def test_only_a_demo_needs_to_say_how_it_is_rendered(tmp_path):
    mine = {"kind": "table", "audio": "music", "annotations": "music.csv"}
    loaded_with(tmp_path, "corpus", value=mine)
    with pytest.raises(ConfigError, match=r"corpus: kind: demo needs `demo: \{clips: 576, seed: 2018\}`"):
        loaded_with(tmp_path, "corpus", value=mine | {"kind": "demo"})


def test_an_entry_that_is_not_there_is_named_with_the_close_ones():
    found = load(ROOT / "params.yaml").experiments
    assert entry("experiments", found, "linear").model == "linear"
    with pytest.raises(ConfigError, match=r"^experiments of params\.yaml has no 'linaer': close to linear$"):
        entry("experiments", found, "linaer")
    with pytest.raises(ConfigError, match=r"^crossvalidations of params\.yaml has no 'x': there are none$"):
        entry("crossvalidations", {}, "x")


def test_names_that_would_give_two_standardizers_one_name_are_refused(tmp_path):
    """DVC joins them by a dash, and of two stages of one name it keeps the last without a word."""
    content = params()
    content["representations"]["mel-song"] = content["representations"]["mel"]
    content["labels"]["song-top50"] = content["labels"]["top50"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    told = r"labels\.top50 must have another name: \S+ would be the standardizer of .* on labels song-top50, and of"
    with pytest.raises(ConfigError, match=told):
        load(tmp_path / "params.yaml")


@pytest.mark.parametrize("number", ["050", "0x32", "5_0", "1:30", "1:1:1:1", "0o17", "1_0.5", "1:30.5", "-012"])
def test_a_number_that_yaml_reads_in_a_way_of_its_own_is_refused_with_its_line(tmp_path, number):
    (tmp_path / "params.yaml").write_text(f"a: 1\nlabels: {{top: {{top: {number}}}}}\n", encoding="utf-8")
    read = yaml.safe_load((tmp_path / "params.yaml").read_text())["labels"]["top"]["top"]
    if isinstance(read, str):
        pytest.skip("a text for YAML, and so for its limits")
    with pytest.raises(ConfigError, match=r"line 2: a number must be written in plain decimal digits, got '"):
        load(tmp_path / "params.yaml")


def test_two_waveforms_of_one_rate_are_refused_however_they_are_written(tmp_path):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    for second in ("16_000", "0x3E80", "016000", '"016000"', "16000"):
        (tmp_path / "params.yaml").write_text(
            text.replace('\n  "16000":', f'\n  {second}: {{samples: 9, min_seconds: 1}}\n  "16000":'),
            encoding="utf-8",
        )
        with pytest.raises(ConfigError, match=r"decimal digits|sampling rate in digits|stands in line"):
            load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"momentum": 0}, r"momentum must be above 0 with schedule: adam-then-sgd, whose SGD is Nesterov's, got 0"),
        ({"switch": 4}, r"switch must be below epochs=4, got 4: SGD would never begin"),
    ],
)
def test_a_switch_to_sgd_that_cannot_be_is_refused_before_anything_is_trained(changed, message):
    values = {
        "optimizer": "adam", "learning_rate": 0.01, "batch": 4, "epochs": 4, "patience": 4, "cut_every": 1,
        "schedule": "adam-then-sgd", "switch": 2, "sgd_learning_rate": 0.1,
    }  # fmt: skip
    assert Recipe.model_validate(values).switch == 2
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate(values | changed)


def test_a_class_of_a_cross_validation_counts_once(tmp_path):
    one = {"representation": "mel", "labels": "top50", "model": "linear", "classes": ["a", "b", "a"]}
    with pytest.raises(
        ConfigError, match=r"crossvalidations\.x\.classes: must differ from each other, got \['a', 'b', 'a'"
    ):
        loaded_with(tmp_path, "crossvalidations", value={"x": one})
