"""What a worker of a Dask cluster does with one task, and how it reports what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from earmark.errors import EarmarkError

T = TypeVar("T")
R = TypeVar("R")
About = Callable[[], tuple[str, str]]  # returns a machine's code, and its makers


class TaskError(Exception):
    """The address of a worker, and what went wrong there."""


def run_task(began: tuple[str, str], work: Callable[[T], R], about: About, item: T) -> tuple[str, R]:
    """Do one task on a worker; return the worker's address and what ``work`` returns.

    began: code and makers of the run. Raises TaskError for whatever goes wrong: its text can be read by a client that
    does not know the class of the error.
    """
    from distributed import get_worker

    address = get_worker().address
    try:
        if unlike := difference(about(), began):  # it joined after the others were asked
            raise EarmarkError(unlike)
        return address, work(item)
    except Exception as error:
        failed = TaskError(address, told(error))
    raise failed  # not in the except clause: Dask would send its cause too, whose class the client may not have


def difference(here: tuple[str, str], began: tuple[str, str]) -> str | None:
    """Return why a worker's shards would not be those of the run, None if they would; both are (code, makers)."""
    if here[0] != began[0]:
        return f"it has earmark's code {here[0][:12]}, not {began[0][:12]}; update it there"
    if here[1] != began[1]:
        return f"it computes with {here[1]}, but the run began with {began[1]}: the bytes would differ; use one kind"
    return None


def told(error: BaseException) -> str:
    """Return an error as one line, which begins with its class unless the text was written for users."""
    try:
        text = str(error)
    except Exception:
        text = ""
    if isinstance(error, EarmarkError | OSError):
        return text
    return ": ".join([type(error).__name__, *(line[:300] for line in text.strip().splitlines()[:1])])
