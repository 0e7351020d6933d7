"""Who trains all systems from a terminal sees how many are left, and for how long."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from earmark import progress
from earmark.papers.command import Watched


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A function that lets systems take so many seconds; None: what was done before."""
    monkeypatch.setattr(progress, "in_terminal", lambda: True)
    now = 0.0
    papers = SimpleNamespace(results=lambda name: sorted(tmp_path.glob(f"{name}.json")))
    found = Watched(papers, 4, lambda: now)

    def run(name, seconds, code=0):
        def train():
            nonlocal now
            now += seconds or 2
            if seconds is not None:
                (tmp_path / f"{name}.json").write_text("{}")
            return code

        return found.run(name, train)

    return run


def test_the_rest_is_told_by_those_that_were_trained(watched, capsys):
    for name, seconds in (("before", None), ("a", 60), ("b", 120), ("c", 10)):
        assert watched(name, seconds) == 0
    assert capsys.readouterr().err.splitlines() == [
        "papers: 1 of 4 systems, 3 to go",
        "papers: 2 of 4 systems, 02:00 left",
        "papers: 3 of 4 systems, 01:30 left",
        "papers: 4 of 4 systems, the end",
    ]


def test_one_that_fails_counts_as_done_and_keeps_its_code(watched, capsys):
    assert watched("broken", None, code=9) == 9
    assert capsys.readouterr().err == "papers: 1 of 4 systems, 3 to go\n"


def test_outside_of_a_terminal_nothing_is_shown(watched, capsys, monkeypatch):
    monkeypatch.setattr(progress, "in_terminal", lambda: False)
    watched("a", 60)
    assert capsys.readouterr() == ("", "")
