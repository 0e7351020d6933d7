"""Windows of a clip, which a network hears one after another."""

from __future__ import annotations

import torch
from torch import Tensor

AT_ONCE = 32  # windows that a network hears at one time: a long clip must not need all its memory at once


def count(length: int, window: int, hop: int) -> int:
    """Return how many windows lie within a clip; what is left at its end is in none. A shorter clip has one.

    >>> count(1813, 187, 187), count(100, 187, 187)
    (9, 1)
    """
    return 1 + max(0, length - window) // hop


def unseen(length: int, window: int, hop: int) -> float:
    """Return the share of a clip that lies in no window, at its end or between two of them.

    >>> round(unseen(1000, window=300, hop=300), 3)
    0.1
    """
    seen = min(window, hop) * (count(length, window, hop) - 1) + window
    return max(0.0, 1 - seen / length)


def cut(clip: Tensor, window: int, hop: int) -> Tensor:
    """Return (batch, length, ...) as (batch, windows, window, ...); a clip that is too short is filled with zeros.

    >>> import torch
    >>> cut(torch.arange(7.0)[None], window=3, hop=2)[0].tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0], [4.0, 5.0, 6.0]]
    """
    lacking = window - clip.shape[1]
    if lacking > 0:
        clip = torch.cat([clip, clip.new_zeros(len(clip), lacking, *clip.shape[2:])], dim=1)
    return clip.unfold(1, window, hop).movedim(-1, 2)


def parts(cuts: Tensor, at_once: int = AT_ONCE) -> tuple[Tensor, ...]:
    """Return (batch, windows, ...) as parts (at_once, ...) of all clips' windows; the last one may be shorter."""
    return torch.split(cuts.flatten(0, 1), at_once)


def together(rows: Tensor, cuts: Tensor) -> Tensor:
    """Return (batch * windows, ...), a row for every window of ``cuts``, as (batch, windows, ...)."""
    return rows.reshape(*cuts.shape[:2], *rows.shape[1:])
