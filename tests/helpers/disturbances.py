"""What is done to a stage while it runs, and what is wrong after it: kills, and a disk that fails."""

from __future__ import annotations

import errno
import random
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers.stage_runs import READS, WRITES, Server, Step, contents, temporary

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# What a disk says, and whether it goes on saying so: one that is full stays full, one that failed may work again.
ERRORS = {errno.ENOSPC: True, errno.EROFS: True, errno.EIO: False, errno.EDQUOT: False}


KEPT = re.compile(r"^data/checkpoints/|\.partial(-journal)?$")  # by which a second run goes on


@dataclass(frozen=True)
class Trial:
    """One disturbance: of which stage, what it was, how the stage ended, what was wrong (nothing, if all is well)."""

    stage: str
    what: str
    code: int | str
    wrong: list[str]
    said: str = ""


def killed(server: Server, step: Step, folder: Path, chance: random.Random) -> Trial:
    """Kill a stage and all that it has started at a random moment, and run it again."""
    place, number = step.begin(folder), chance.choice(SIGNALS)
    moment = chance.uniform(0, 1.1 * step.seconds)
    ended = server.run(place, step.command, kill=(moment, number))
    wrong = [f"{command} lives on" for command in ended.orphans]
    wrong += [f"{name} is neither the old nor the new one" for name in step.strange(place)]
    return Trial(step.name, number.name, ended.code, wrong + again(server, step, place), ended.said)


def again(server: Server, step: Step, place: Path) -> list[str]:
    """Run a stage after a disturbance; return what is not as after an undisturbed run."""
    ran = server.run(place, step.command)
    if ran.code != 0:
        return [f"the second run ends with {ran.code}: {ran.said}"]
    found = contents(place)
    names = sorted(found.keys() | step.after.keys())
    wrong = [f"{name} differs after the second run" for name in names if found.get(name) != step.after.get(name)]
    return wrong + [f"{command} lives on" for command in ran.orphans]


def operations(server: Server, step: Step, folder: Path, kinds: int) -> int:
    """Return how many operations on files a stage does."""
    fault = {"fail_at": 0, "error": 0, "kinds": kinds, "sticky": False}
    ran = server.run(step.begin(folder), step.command, fault=fault)
    assert ran.code == 0, ran.said
    return ran.count


def refused(server: Server, step: Step, folder: Path, number: int, error: int) -> Trial | None:
    """Let the n-th write, sync, close or rename of a stage fail, and run it again; None if it did not get there."""
    place = step.begin(folder)
    fault = {"fail_at": number, "error": error, "kinds": WRITES, "sticky": ERRORS[error]}
    ran = server.run(place, step.command, fault=fault)
    if not ran.hit:
        return None
    wrong = [f"{command} lives on" for command in ran.orphans]
    wrong += [f"{name} is neither the old nor the new one" for name in step.strange(place)]
    wrong += [f"{name} stays" for name in contents(place) if temporary(name) and not KEPT.search(name)]
    if ran.code == 0 and not (harmless(ran.hit, error) and contents(place) == step.after):
        wrong.append("the stage says nothing of it")
    if ran.code:
        wrong += untold(ran.said, ran.hit, ERRORS[error])
    return Trial(
        step.name, f"{errno.errorcode[error]} {ran.hit}", ran.code, wrong + again(server, step, place), ran.said
    )


def harmless(hit: str, error: int) -> bool:
    """Return whether all may be well although an operation failed, if the outputs are those of an undisturbed run."""
    what, _, name = hit.partition(" ")
    if what == "posix_fallocate":  # some file systems cannot set room aside
        return error in (errno.EIO, errno.EROFS)
    # what cannot be renamed may be copied, and SQLite has synced what it closes
    return what == "rename" or (what == "close" and name.endswith(".partial"))


def unread(server: Server, step: Step, folder: Path, number: int) -> Trial | None:
    """Let the n-th read of a stage fail, and run it again; None if it did not get there."""
    place = step.begin(folder)
    fault = {"fail_at": number, "error": errno.EIO, "kinds": READS, "sticky": False}
    ran = server.run(place, step.command, fault=fault)
    if not ran.hit:
        return None
    wrong = [f"{name} is neither the old nor the new one" for name in step.strange(place)]
    if ran.code:
        wrong += untold(ran.said, ran.hit)
    elif contents(place) != step.after:
        wrong.append("other results, and nothing is said")
    return Trial(step.name, f"EIO {ran.hit}", ran.code, wrong + again(server, step, place), ran.said)


def untold(said: str, hit: str, others: bool = False) -> Iterator[str]:
    """Yield what the message of a stage lacks; hit: what failed first, and the file; others: and others after it."""
    file = Path(hit.partition(" ")[2])
    # a command that goes on with the next file tells each one on a line of its own
    if "Traceback" in said or not ("error: " in said or "cannot be written: " in said):
        yield "no clear error"
    # the name of a file that is written beside its place tells that place
    place = re.sub(r"(^\.)|(\.(tmp|partial)(-journal)?$)|(\.h5\.[^/]*$)", "", file.name)
    if place not in said and str(file) not in said and not (others and "cannot be written" in said):
        yield f"the error does not name {file}"
