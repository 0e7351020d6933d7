"""The limits of the networks' options: an option out of them is refused with its name, the limit and the value."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real

MOST = 1_000_000  # of units, channels, samples: none has nearly as many, and the next product is beyond 64 bits
MOST_MODULES = 1_000  # of what is built one by one, which would take hours before it ran out of memory
_MODULES = ("layers", "members", "heads", "convolutions")
Pools = Sequence[tuple[int, int]]  # what each block pools by: (frames, dims)


def require(condition: bool, name: str, limit: str, value: object, reason: str = "") -> None:
    """Raise ValueError, with the option, the limit, the value and the reason, unless ``condition``."""
    if not condition:
        raise ValueError(f"{name} must {limit}, got {value!r}" + (f": {reason}" if reason else ""))


def require_at_least(name: str, value: int, limit: int, reason: str = "") -> None:
    """Raise ValueError if a whole number is below its limit, or is none."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    require(whole, name, "be a whole number", value)
    require(value >= limit, name, f"be at least {limit}", value, reason)


def require_counts(**values: int) -> None:
    """Raise ValueError, with the option's name, unless each value is a whole number from 1 to its limit."""
    for name, value in values.items():
        require_at_least(name, value, 1)
        _require_at_most(name, value, MOST_MODULES if name in _MODULES else MOST)


def _require_at_most(name: str, value: int, limit: int) -> None:
    require(value <= limit, name, f"be at most {limit}", value)


def require_dropout(value: float, name: str = "dropout") -> None:
    """Raise ValueError unless a value is a probability to drop, in [0, 1)."""
    require(_is_number(value) and 0 <= value < 1, name, "be in [0, 1)", value, "the share that is dropped")


def require_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise ValueError unless a value is one of the names."""
    require(value in choices, name, f"be one of {', '.join(choices)}", value)


def require_waveform(dims: int) -> None:
    """Raise ValueError unless the input is a waveform, which has one value per sample."""
    require(dims == 1, "dims", "be 1", dims, "the input is a waveform")


def sizes(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Return whole numbers, each at least 1, as a tuple; raise ValueError for others, or if there is none."""
    found = tuple(values) if isinstance(values, Sequence) and not isinstance(values, str) else ()
    require(bool(found), name, "be a list of at least one number", values)
    require(len(found) <= MOST_MODULES, name, f"be a list of at most {MOST_MODULES} numbers", f"{len(found)} of them")
    for number, value in enumerate(found):
        require_at_least(f"{name}[{number}]", value, 1)
        _require_at_most(f"{name}[{number}]", value, MOST)
    return found


def positive(name: str, values: Sequence[float]) -> tuple[float, ...]:
    """Return finite numbers above 0 as a tuple; raise ValueError for others, or if there is none."""
    found = tuple(values) if isinstance(values, Sequence) and not isinstance(values, str) else ()
    require(bool(found), name, "be a list of at least one number", values)
    for number, value in enumerate(found):
        require(is_positive(value), f"{name}[{number}]", "be above 0", value)
    return found


def pairs(name: str, values: Pools, blocks: int) -> tuple[tuple[int, int], ...]:
    """Return a pair (frames, dims) per block, each at least 1; raise ValueError if there are more or less."""
    several = isinstance(values, Sequence) and not isinstance(values, str)
    require(several and len(values) == blocks, name, f"be a list of {blocks} pairs, one per block", values)
    found = []
    for number, value in enumerate(values):
        pair = isinstance(value, Sequence) and len(value) == 2
        require(pair, f"{name}[{number}]", "be a pair (frames, dims)", value)
        frames, dims = sizes(f"{name}[{number}]", value)
        found.append((frames, dims))
    return tuple(found)


def is_positive(value: float) -> bool:
    """Tell whether a value is a finite number above 0."""
    return _is_number(value) and 0 < value < float("inf")


def is_at_least_zero(value: float) -> bool:
    """Tell whether a value is a finite number, 0 or above."""
    return is_positive(value) or (_is_number(value) and value == 0)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
