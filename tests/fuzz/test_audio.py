"""Damaged audio files of every kind: none ends a stage, hangs it, or is shortened in silence."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from pathlib import Path

import pytest
from helpers.fuzzed_audio import FORMS, Verdict, judge, seeds
from helpers.mutation import times

from earmark.decode import pool
from earmark.decode.audio import RejectedError
from earmark.decode.pool import Decoders

LONGEST = 20.0  # s for a file of 2.5 s
MOST = 600 << 20  # bytes of a decoding process
LOSSES = ("shorter", "silenced")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return seeds(tmp_path_factory.mktemp("seeds"))


@pytest.fixture(scope="module")
def decoders():
    found = Decoders(LONGEST)
    yield found
    found.close()


@pytest.mark.parametrize("form", FORMS)
def test_what_is_left_of_a_damaged_file_is_rejected_told_or_whole(files, decoders, form, tmp_path):
    first = int(os.environ.get("TORTURE_FIRST", "0"))
    numbers = range(first, first + times(12, 6_250))
    local = threading.local()

    def tried(number: int) -> Verdict:
        if not hasattr(local, "place"):
            local.place = str(tmp_path / f"{threading.get_ident()}.audio")
        try:
            return decoders.run(judge, files[form], number, local.place)
        except RejectedError as error:  # the process failed
            return Verdict("failed", str(error), "", 0, 0)

    with pool.threads(pool.workers()) as threads:
        found = list(threads.map(tried, numbers))
    bad = [(n, *v) for n, v in zip(numbers, found, strict=True) if v.outcome in (*LOSSES, "failed")]
    counts = dict(Counter(v.outcome for v in found))
    if log := os.environ.get("TORTURE_LOG"):
        slowest, largest = max(v.seconds for v in found), max(v.peak for v in found)
        with Path(log).open("a", encoding="utf-8") as file:
            told = {"form": form, "first": first, "counts": counts, "slowest": slowest, "largest": largest}
            file.write(json.dumps(told | {"bad": bad[:200]}) + "\n")
    assert not bad, f"{len(bad)} of {len(found)}: {bad[:5]}"
    assert max(v.peak for v in found) < MOST
    assert max(v.seconds for v in found) < LONGEST
