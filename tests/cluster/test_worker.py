"""What a worker says of what went wrong."""

from __future__ import annotations

from earmark.cluster import worker
from earmark.errors import EarmarkError


def test_an_error_is_told_in_one_line_and_by_its_kind_unless_it_was_written_for_users():
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert worker.told(EarmarkError("a: b\nc")) == "a: b\nc"
    assert worker.told(OSError(28, "No space left")) == "[Errno 28] No space left"
    assert worker.told(MemoryError()) == "MemoryError"
    assert worker.told(RuntimeError("one\ntwo")) == "RuntimeError: one"
    assert worker.told(MuteError()) == "MuteError"
