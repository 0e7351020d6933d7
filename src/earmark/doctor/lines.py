"""What the doctor says: a line per thing, with its state, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from earmark.errors import EarmarkError

State = Literal["ok", "warning", "error"]  # an error stops the pipeline
WIDTH = 9  # of the state


@dataclass(frozen=True)
class Line:
    """One thing that was looked at. mend: what to do about it, empty if nothing need be done."""

    name: str
    state: State
    text: str
    mend: str = ""

    def shown(self) -> str:
        """Return the line, and below it how to mend it.

        >>> print(Line("disk", "error", "3 GB are lacking", "free them").shown())
        error    disk              3 GB are lacking
                                   mend: free them
        """
        first = f"{self.state:<{WIDTH}}{self.name:<18}{self.text}"
        return f"{first}\n{'':{WIDTH + 18}}mend: {self.mend}" if self.mend else first


def guarded(name: str, look: Callable[[], Iterable[Line]]) -> Iterator[Line]:
    """Yield the lines of a look at something; what cannot be looked at, for a reason that a user can mend, is one, too.

    name: of that line.
    """
    try:
        yield from look()
    except EarmarkError as error:
        yield Line(name, "error", str(error))
