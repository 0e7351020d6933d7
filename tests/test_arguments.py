"""Every command has its help, with examples that it takes, in 80 columns; and tells as much as it is asked to."""

from __future__ import annotations

import argparse
import os
import shlex

import pytest

from earmark import arguments, cli, progress
from earmark.cli import command_line, main
from earmark.errors import EarmarkError

ALL = {one.prog: one for one in arguments.every(command_line())}


@pytest.mark.parametrize("name", ALL)
def test_a_help_has_an_example_and_fits_into_80_columns(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = ALL[name].format_help().splitlines()
    assert not [line for line in shown if len(line) > 80]
    assert ALL[name].examples
    assert [line for line in shown if line.startswith("  earmark ")] == [f"  {one}" for one in ALL[name].examples]


@pytest.mark.parametrize("name", ALL)
def test_its_examples_are_commands_that_it_takes(name):
    for example in ALL[name].examples:
        assert example.startswith(name)
        words = shlex.split(example.partition(" > ")[0])[1:]
        if "--help" not in words:
            assert command_line().parse_args(words).run


@pytest.mark.parametrize("name", ALL)
def test_every_option_says_what_it_is(name):
    lists_of_commands = argparse._SubParsersAction
    unsaid = [one.dest for one in ALL[name]._actions if not one.help and not isinstance(one, lists_of_commands)]
    assert not unsaid


def failing(_):
    raise EarmarkError("what is wrong")


@pytest.mark.parametrize("words", [["--debug", "systems"], ["systems", "--debug"]])
def test_debug_shows_where_an_error_was_raised(words, monkeypatch, capsys):
    monkeypatch.setattr("earmark.experiment_options._run_systems", failing)
    for given, traceback in ((words, True), (["systems"], False)):
        with pytest.raises(SystemExit) as stop:
            main(given)
        told = capsys.readouterr().err
        assert stop.value.code == 1
        assert told.endswith("error: what is wrong\n")
        assert ("in failing" in told) is traceback
    assert "EARMARK_VERBOSITY" not in os.environ


@pytest.mark.parametrize(("words", "told"), [([], "said"), (["-q"], ""), (["-v"], "said"), (["--debug"], "said")])
def test_a_command_tells_as_much_as_it_is_asked_to(words, told, monkeypatch, capsys):
    def run(_):
        progress.say("stage", "said")
        progress.detail("used")
        with progress.bar(1, "work", "file") as bar:
            bar.update()
        print("result")
        return 0

    monkeypatch.setattr("earmark.experiment_options._run_systems", run)
    assert main(["systems", *words]) == 0
    shown = capsys.readouterr()
    assert ("stage: said" in shown.out) is bool(told)
    assert "result" in shown.out
    assert ("used\n" in shown.err) is (words in (["-v"], ["--debug"]))
    assert ("s in all" in shown.err) is (words in (["-v"], ["--debug"]))


def test_how_much_is_told_can_be_set_for_stages_and_must_be_known(monkeypatch, capsys):
    monkeypatch.setenv("EARMARK_VERBOSITY", "quiet")
    progress.say("stage", "said")
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("EARMARK_VERBOSITY", "loud")
    with pytest.raises(EarmarkError, match="EARMARK_VERBOSITY must be quiet, verbose or debug, got 'loud'"):
        progress.say("stage", "said")


def test_quiet_and_verbose_reach_only_the_command_that_names_them():
    assert cli.command_line().parse_args(["-q", "systems"]).verbosity == "quiet"
    assert not hasattr(cli.command_line().parse_args(["systems"]), "verbosity")
