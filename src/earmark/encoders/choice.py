"""Which layers of a network are worth a look, if nobody names any: not the widest ones, and not too many."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from earmark.representations.encoder import Layers

LARGEST = 4096  # dims: beyond that they are maps of a convolution, mostly, and take more disk than the music
MOST = 24


def chosen(shapes: Mapping[str, tuple[int, int]], always: Collection[str] = (), note: str = "") -> Layers:
    """Return layers of no more than 4096 dims, and of more than 24 of these so many, evenly spaced.

    shapes: (frames, dims) of each, in the order in which they run. always: those that stay in any case. The note, and
    what is appended to it, says what was left out.

    >>> found = chosen({"wide": (8, 9000), "dense": (1, 20), "logits": (1, 5)}, note="a note")
    >>> list(found.shapes), found.note
    (['dense', 'logits'], 'a note; more than 4096 dims: wide (9000)')
    """
    wide = {name: dims for name, (_, dims) in shapes.items() if dims > LARGEST and name not in always}
    fit = [name for name in shapes if name not in wide and name not in always]
    kept = {fit[i] for i in np.linspace(0, len(fit) - 1, min(MOST, len(fit))).round().astype(int)} | set(always)
    notes = [note] if note else []
    if wide:
        notes.append(f"more than {LARGEST} dims: {', '.join(f'{name} ({dims})' for name, dims in wide.items())}")
    if skipped := [name for name in fit if name not in kept]:
        notes.append(f"{len(skipped)} of {len(fit)} that lie between those above")
    return Layers({name: shape for name, shape in shapes.items() if name in kept}, "; ".join(notes))
