"""What README.md and docs show is run as it stands there: settings, tables, commands and code.

A snippet of a kind that is not known here fails; one that cannot be run here is parsed, and stands in NOT_RUN with the
reason.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from helpers import ROOT
from helpers.clones import LINEAR, SMALL, Clone
from helpers.music import tone, write_annotations, write_mp3
from helpers.snippets import SECTIONS, Command, Snippet, commands, pasted, readme_lines, snippets

from earmark.cli import command_line, main
from earmark.config import Config, load
from earmark.corpus.kinds import table
from earmark.training import validation

ALL = list(snippets())
COMMANDS = [command for s in ALL if s.kind in ("console", "sh") for command in commands(s)]
SETTINGS = [s for s in ALL if s.kind == "yaml" and set(yaml.safe_load(s.text)) <= SECTIONS]
KINDS = {"yaml", "csv", "json", "python", "console", "sh", "picture"}
SESSION = "README.md"  # its console snippets are one session, which is run

# Of each page, the commands that are parsed and not run, by their beginnings, and why.
NOT_RUN = {
    "README.md": {
        "make": "minutes: .ci/run and every other test run what they do",
    },
    "docs/audio.md": {
        "earmark corpus check": "shows a corpus of its own: tests/decode/test_check.py runs it",
    },
    "docs/best.md": {
        "earmark add": "tests/systems/test_add.py adds every system",
        "dvc repro": "minutes",
        "earmark crossvalidate": "minutes: tests/training/test_folds.py runs it on a small corpus",
    },
    "docs/cluster.md": {
        "EARMARK_CLUSTER=": "needs a cluster: tests/features/test_cluster.py runs the same against one of its own",
        "dask scheduler": "needs a cluster: tests/helpers/dask_processes.py starts one",
        "openssl": "makes files; tests/cluster/test_connection.py makes such certificates",
        "sbatch": "needs Slurm; the script itself is checked by tests/test_structure.py",
        "scancel": "needs Slurm",
        "for node in": "needs machines to reach with SSH",
        "EARMARK_DEVICES=": "needs GPUs: tests/test_pipeline.py trains in two processes",
        "torchrun": "needs several machines",
        "dvc commit": "follows on several machines",
    },
    "docs/command-line.md": {
        "earmark completion": "writes into the home folder: tests/test_cli.py prints it",
        "earmark inspect": "names files that are not here: tests/inspection/test_command.py draws both",
        "earmark doctor": "what it shows is one machine's: tests/doctor runs every line",
        "earmark bench": "what it shows is one machine's: tests/bench/test_bench.py runs it",
    },
    "docs/container.md": {
        "podman": "nothing is built here: tests/test_container.py judges the file",
    },
    "docs/duplicates.md": {
        "earmark corpus check --deep": "shows a corpus of its own: tests/duplicates/test_command.py runs it",
    },
    "docs/tagging.md": {
        "earmark predict": "needs music: tests/test_predict_files.py runs each option",
        "earmark tag": "needs music: tests/tagging/test_command.py runs each line",
        "earmark bundle": "needs a trained experiment: tests/test_predict_files.py and tests/test_wheel.py run it",
        "earmark export": "needs a trained experiment: tests/travel/test_graphs.py writes every family",
    },
    "docs/encoders.md": {
        "earmark weights": "needs a registry of packages: tests/weights/test_command.py runs it on drawn weights",
        "earmark probe": "what it shows is musicnn's on the demo: tests/probe/test_run.py runs it on a small corpus",
        "earmark predict": "what it shows is musicnn's: tests/weights/test_musicnn.py compares it with the package's",
        "earmark embed": "what it shows is musicnn's: tests/embeddings/test_command.py runs it",
        "earmark similar": "what it shows is the demo's: tests/embeddings/test_command.py runs it",
        "cat": "tests/embeddings/test_run.py reads such a file",
    },
    "docs/own-music.md": {
        "earmark corpus check": "shows a corpus of its own: tests/decode/test_check.py runs it",
    },
    "docs/report.md": {
        "earmark listen": "ends by Ctrl+C: tests/listening/test_server.py asks such a server",
        "dvc plots": "what it shows is the project's: tests/report/test_dvc_plots.py opens the page",
    },
    "docs/start.md": {
        "make": "minutes: .ci/run and every other test run what it does",
        "dvc repro": "minutes: tests/test_guide.py follows the guide of a network, which is the same step",
        "earmark predict": "needs music: the session of README.md runs the same",
    },
    "docs/gpu.md": {
        "make": "minutes: .ci/run and every other test run what it does",
        "EARMARK_DEVICE=": "needs GPUs: tests/test_devices.py chooses devices",
        "earmark predict": "needs music: tests/test_predict_files.py runs each option",
    },
    "docs/team.md": {
        "dvc": "tests/test_sharing.py and tests/test_pipeline.py run the same sessions on remotes of their own",
        "git": "tests/test_sharing.py runs the same sessions",
        "du": "what it shows is the demo's",
        "sed": "changes params.yaml: run below on a copy",
        "earmark leaderboard": "what it shows is the queue's: tests/test_sweeps.py runs it",
        "#": "a remark",
    },
    "docs/scale.md": {
        "make rehearsal": "hours: tests/bench/test_rehearsal.py builds its layouts",
    },
    "docs/watching.md": {
        "dvc repro": "minutes: tests/training/test_live.py trains in a terminal of its own",
        "EARMARK_LOGGER=": "minutes: tests/training/test_loggers.py trains with every logger",
        "cat": "tests/training/test_loggers.py reads such a file",
        "tensorboard": "no package of this project",
        "earmark errors": "what it shows is the demo's: tests/evaluation/test_examine.py runs it",
    },
}
NOT_SETTINGS = {
    "docs/cluster.md: Deployment": "needs a Kubernetes cluster",
    "docs/cluster.md: distributed": "is Dask's own: tests/cluster/test_connection.py sets the same",
    "docs/encoders.md: waveforms": "needs the package of the encoder",
    "docs/encoders.md: encoders": "needs the file of the weights: tests/test_encoders.py runs an encoder",
}


def reason_not_to_run(command: Command) -> str | None:
    reasons = NOT_RUN.get(command.snippet.page, {})
    return next((why for beginning, why in reasons.items() if command.line.startswith(beginning)), None)


def runs(command: Command) -> bool:
    return command.snippet.page == SESSION and command.snippet.kind == "console"


def test_every_snippet_is_of_a_kind_that_is_checked_here():
    unknown = [f"{s} ({s.kind})" for s in ALL if s.kind not in KINDS]
    assert not unknown
    assert {"yaml", "csv", "console"} <= {s.kind for s in ALL}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_every_command_is_run_or_has_a_reason_why_not(command: Command):
    assert runs(command) != (reason_not_to_run(command) is not None)


def test_no_reason_is_left_over():
    used = {(c.snippet.page, why) for c in COMMANDS if (why := reason_not_to_run(c))}
    assert used == {(page, why) for page, reasons in NOT_RUN.items() for why in reasons.values()}


# --- settings


def test_yaml_that_is_no_settings_has_a_reason():
    others = [s for s in ALL if s.kind == "yaml" and s not in SETTINGS]
    held = [(s.page, yaml.safe_load(s.text)) for s in others]
    assert {f"{page}: {content.get('kind', next(iter(content)))}" for page, content in held} == set(NOT_SETTINGS)


@pytest.mark.parametrize("snippet", SETTINGS, ids=str)
def test_settings_are_valid_when_they_are_pasted_in_place_of_their_sections(tmp_path: Path, snippet: Snippet):
    file = tmp_path / "params.yaml"
    own = (ROOT / "params.yaml").read_text()
    file.write_text(pasted(own, snippet.text))
    if "representations" in yaml.safe_load(snippet.text):  # the project's experiments go with its representations
        assert "experiments" in yaml.safe_load(snippet.text)
    config = load(file)
    validation.require(config)
    changed = {key for key in Config.model_fields if getattr(config, key) != getattr(load(ROOT / "params.yaml"), key)}
    assert changed == set(yaml.safe_load(snippet.text))


CORPORA = [s for s in SETTINGS if "corpus" in yaml.safe_load(s.text)]


@pytest.mark.parametrize("snippet", CORPORA, ids=str)
def test_a_corpus_is_read_when_the_music_lies_where_the_snippet_says(
    tmp_path, monkeypatch, make_corpus, capsys, snippet
):
    """``/data`` is no folder of a test's: it is the only thing that is replaced."""
    settings = pasted((ROOT / "params.yaml").read_text(), snippet.text)
    corpus = yaml.safe_load(snippet.text)["corpus"]
    audio, annotations = (tmp_path / corpus[key].removeprefix("/") for key in ("audio", "annotations"))
    made = make_corpus(where=tmp_path / "made")
    audio.parent.mkdir(parents=True, exist_ok=True)
    made[0].rename(audio)
    if corpus["kind"] == "table":
        rows = [f"{path.relative_to(audio)},x,artist{i}\n" for i, path in enumerate(sorted(audio.glob("*/*.mp3")))]
        annotations.write_text("path,tags,artist\n" + "".join(rows))
    else:
        made[1].rename(annotations)
    (tmp_path / "params.yaml").write_text(settings.replace("/data/", f"{tmp_path}/data/"))
    monkeypatch.chdir(ROOT)  # where the synonyms lie
    main(["corpus", "check", "--params", str(tmp_path / "params.yaml")])
    assert re.search(r"^clips +12 of 6|^clips +12 of 12", capsys.readouterr().out, re.M)


# --- tables, code


@pytest.mark.parametrize("snippet", [s for s in ALL if s.kind == "csv"], ids=str)
def test_tables_are_read(tmp_path: Path, snippet: Snippet):
    (tmp_path / "music.csv").write_text(snippet.text)
    clips, tags = table.read(tmp_path / "music.csv")
    assert len(clips) == len(list(csv.reader(snippet.text.splitlines()))) - 1
    assert tags.tags


README_API = readme_lines()  # tests/test_api.py runs them where a pipeline has run


def test_json_is_json_and_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In one test each of them: pages may have none."""
    monkeypatch.chdir(tmp_path)
    for snippet in ALL:
        if snippet.kind == "json":
            json.loads(snippet.text)
        if snippet.kind == "python" and snippet.text not in README_API:
            exec(compile(snippet.text, str(snippet), "exec"), {"__name__": "__main__"})


# --- commands


def simple(line: str) -> list[list[str]]:
    """The simple commands of a line of shell: words, without the variables that are set for them."""
    lexer = shlex.shlex(line.split("  #")[0], posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace_split, lexer.whitespace = True, " \t\r"
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("();|&\n"):
            found.append([])
        elif found[-1] or (word not in ("do", "done") and not re.match(r"^[A-Z_]+=", word)):
            found[-1].append(word)
    return [words for words in found if words]


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_is_shell_and_what_it_calls_exists(command: Command):
    done = subprocess.run(["bash", "-n"], input=command.line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for variable in re.findall(r"\b(EARMARK_\w+)=", command.line):
        assert f"`{variable}`" in (ROOT / "README.md").read_text()
    for words in simple(command.line):
        if words[0] == "earmark":
            command_line().parse_args(words[1 : words.index(">") if ">" in words else None])
        elif words[0] == "dvc":
            require_dvc(words[1:])
        elif words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M), words
        else:
            for word in words[1:]:
                if word.startswith(("docs/", "stages/", "src/")):
                    assert (ROOT / word).exists(), word


STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


def require_dvc(words: list[str]) -> None:
    """DVC's own parser takes it; stages and outs that it names are those of dvc.yaml."""
    from dvc.cli.parser import get_main_parser

    arguments = get_main_parser().parse_args(words)
    for target in getattr(arguments, "targets", None) or ():
        name, _, item = target.partition("@")
        if name in STAGES:
            assert not item or item in items(name), target
        elif not target.startswith("metrics/"):
            assert target in outs(), target
    for setting in getattr(arguments, "set_param", None) or ():
        settings_with(setting)


def items(stage: str) -> list[str]:
    """The items of a stage, as the project is set."""
    section = STAGES[stage].get("foreach", "")[2:-1]
    return list(PARAMS[section]) if section else [""]


def outs() -> set[str]:
    found = set()
    for name, stage in STAGES.items():
        for out in stage.get("do", stage).get("outs", ()):
            path = out if isinstance(out, str) else next(iter(out))
            found |= {path.replace("${key}", item) for item in items(name)}
    return found


def settings_with(change: str) -> None:
    """Each of the values that ``--set-param KEY=VALUE,VALUE`` gives to a setting is valid."""
    key, _, values = change.removeprefix("+").partition("=")
    *path, last = key.split(".")
    for value in values.split(","):
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        place = content
        for part in path:
            place = place[part]
        assert change.startswith("+") or last in place, f"{key} is no setting of params.yaml, so it takes a +"
        place[last] = yaml.safe_load(value)
        Config.model_validate(content)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.line.startswith("sed ")], ids=str)
def test_a_line_that_changes_params_yaml_changes_it_to_something_valid(tmp_path: Path, command: Command):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    subprocess.run(["bash", "-c", command.line], cwd=tmp_path, check=True)
    assert load(tmp_path / "params.yaml") != load(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """What README.md presupposes, in small: `linear` on scattering, on the branch main, and a song beside it."""
    folder = tmp_path_factory.mktemp("docs") / "project"
    folder.mkdir()
    clone = Clone.of_this(folder, OMP_NUM_THREADS="1").warm()
    rows = []
    for number in range(8):
        path = f"{'01cd'[number // 2]}/artist_{number}-album-0{number}-title-0-29.mp3"
        write_mp3(folder / "corpus/audio" / path, tone(2, (300, 2400)[number % 2]))
        rows.append((str(number), [number % 2, 1 - number % 2], path))
    write_annotations(folder / "corpus/annotations_final.csv", ["high", "low"], rows)
    write_mp3(folder / "clip.mp3", tone(29.2, 300))
    scattering = {"kind": "scattering", "rate": 16_000, "samples": 28_000, "T": 4096, "Q": [4, 1]}
    representations = {"scattering": scattering, "mel-song": SMALL["representations"]["mel"]}
    linear = {"linear": LINEAR | {"representation": "scattering"}}
    clone.small(experiments=linear, representations=representations)
    clone.repro()
    clone.commit("The linear baseline on scattering")
    return clone


def test_the_session_of_the_readme_runs_as_it_stands(session: Clone):
    shown = {}
    for command in filter(runs, COMMANDS):
        if command.line == "dvc repro":
            change = re.search(r"change one\s+word, `representation: (\S+)`", (ROOT / SESSION).read_text())
            assert change
            linear = session.params_now()["experiments"]["linear"] | {"representation": change[1]}
            session.params(experiments={"linear": linear})
        shown[command.line] = session.run("bash", "-c", command.line), command.output
    measured = flat(json.loads((session.folder / "metrics/experiments/linear.json").read_text()))
    for line, (output, printed) in shown.items():
        if line.startswith("dvc metrics diff"):  # of two songs some metrics do not change, and are not shown
            named = {row.split()[1] for row in printed.splitlines()[1:] if row}
            assert named
            assert named <= measured
        elif line.startswith("earmark compare"):  # how wide the columns are, and what is distinct, depends on the music
            assert output.splitlines()[0].replace(" ", "") == printed.splitlines()[0].replace(" ", "")
            assert "| linear " in output
        else:
            assert skeleton(printed) <= skeleton(output), line


def flat(content: dict[str, object], above: str = "") -> set[str]:
    """The names of all values, as DVC writes them."""
    inner = [
        flat(value, f"{above}{key}.") if isinstance(value, dict) else {above + key} for key, value in content.items()
    ]
    return set().union(*inner)


def skeleton(output: str) -> set[str]:
    """The lines of an output without what depends on the music: numbers, and the tags of a prediction."""
    lines = [
        " ".join(re.sub(r"\d+(\.\d+)?", "N", line).replace("segments", "segment").split())
        for line in output.splitlines()
    ]
    return {re.sub(r"^\w[\w ]* N [TF]$", "TAG N", line) for line in lines if line}


@pytest.mark.parametrize("line", ["earmark corpus check", "earmark inspect clip.mp3", "earmark doctor"])
def test_commands_beside_the_session_run_in_a_project(session: Clone, line: str):
    assert session.run(*line.split())


@pytest.mark.parametrize("snippet", CORPORA, ids=str)
def test_a_corpus_that_is_no_demo_needs_no_settings_of_the_demo(session: Clone, snippet: Snippet):
    """DVC refuses to run a stage one of whose parameters is absent."""
    own = session.folder / "params.yaml"
    before = own.read_text()
    own.write_text(pasted(before, snippet.text))
    try:
        assert "demo" not in session.params_now()["corpus"]
        session.run("dvc", "repro", "demo")
    finally:
        own.write_text(before)
