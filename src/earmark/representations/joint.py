"""Several representations of the same wave as one: each is brought to common frames, and their dims are put together.

Kinds treat the ends of a clip differently: the first frame of one is centred on its first sample, that of another
begins there. Here the frames of a part, `seconds_per_frame` apart, lie in the middle of the clip, which is right to
within half a frame for any such convention. A common frame is an equal share of the clip. It pools the frames of a part
that lie in it, and is the nearest one where none does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark import doors, representations
from earmark.representations.base import OptionError, Representation, require
from earmark.sections import Name, near

if TYPE_CHECKING:
    from earmark.config import RepresentationConfig

KIND = "joint"
COMMON = ("rate", "samples", "dtype")  # they stand beside `parts`
Pooling = Literal["mean", "mean-std"]


class Joint(Representation):
    """Several representations of the same wave, side by side: the dims of a frame are those of all parts.

    frames: common to all parts, evenly over the clip. parts: by name, each with its `kind` and the options of it; rate,
    samples and dtype are those of the joint. pooling, beside the options of a part whose kind has no such option: what
    becomes of its frames that lie in a common one, ``mean``, or ``mean-std``, mean and deviation. A part that has fewer
    frames repeats them.

    The parts lie in the order of their names, whatever their order in params.yaml. The standardizer has a mean and a
    deviation for every dim: so each part is standardised as it would be alone.

    `axes` has `part`, the number of its part for every dim, and `parts`, their names in this order.

    `forward` returns (batch, frames, dims).

    Raises OptionError, with the name of the part, if an option of it is out of its limits.
    """

    def __init__(self, *, rate: int, n_samples: int, frames: int, parts: dict[Name, dict[str, Any]]) -> None:
        super().__init__(KIND, rate, n_samples)
        require(bool(parts), KIND, "parts", "name at least one part", parts)
        self.names = sorted(parts)
        common = {"rate": rate, "samples": n_samples}
        built = [_built(name, *separated(name, parts[name], common), common) for name in self.names]
        most = max(heard.n_frames for heard, _ in built)
        require(
            1 <= frames <= most, KIND, "frames", f"be in [1, {most}], the most frames of a part", frames,
            "more would only repeat them",
        )  # fmt: skip
        self.parts = nn.ModuleList(Part(heard, frames, pooling) for heard, pooling in built)
        for name, part in zip(self.names, self._parts, strict=True):
            require(
                part.pooling == "mean" or part.least > 1, KIND, f"parts.{name}.pooling",
                f"be mean where a common frame has a single frame of {part.heard.n_frames}", part.pooling,
                "its deviation is always 0: fewer frames, or a smaller hop",
            )  # fmt: skip
        self.n_frames, self.n_dims = frames, sum(part.n_dims for part in self._parts)
        self.axes = self._axes(n_samples / rate / frames)
        self.unseen = max(part.heard.unseen for part in self._parts)
        largest = max(part.heard.bytes_per_clip + 12 * frames * part.n_dims for part in self._parts)
        self.bytes_per_clip = largest + 4 * frames * self.n_dims

    @property
    def _parts(self) -> list[Part]:
        return [part for part in self.parts if isinstance(part, Part)]

    def _axes(self, seconds_per_frame: float) -> dict[str, np.ndarray | float | str]:
        dims = [part.n_dims for part in self._parts]
        axes: dict[str, np.ndarray | float | str] = {
            "hz": np.concatenate([part.of_dims("hz", 0.0) for part in self._parts]),
            "seconds_per_frame": seconds_per_frame,
            "part": np.repeat(np.arange(len(dims)), dims),
            "parts": " ".join(self.names),
        }
        if any("standardized" in part.heard.axes for part in self._parts):
            axes["standardized"] = np.concatenate([part.of_dims("standardized", True) for part in self._parts])
        return axes

    def compute(self, wave: Tensor) -> Tensor:
        """Return (batch, frames, dims) for `wave` (batch, n_samples), mono at `rate` Hz, one part after another."""
        out = wave.new_empty(len(wave), self.n_frames, self.n_dims, dtype=torch.float32)
        first = 0
        for part in self._parts:
            out[:, :, first : first + part.n_dims] = part(wave)
            first += part.n_dims
        return out

    def warning(self, name: str) -> str:
        """Return the lines of the parts for whoever has the entry `name` in params.yaml."""
        told = [(part, each.heard.warning(part)) for part, each in zip(self.names, self._parts, strict=True)]
        place = f"warning: representations.{name}.parts."
        return "\n".join(f"{place}{part}: {line.split(': ', 2)[2]}" for part, line in told if line)


class Part(nn.Module):
    """A representation whose frames are pooled to a number of common ones, or repeated.

    first, last: the frames that a common frame pools, (frames,) each, the last one included.
    """

    first: Tensor
    last: Tensor

    def __init__(self, heard: Representation, frames: int, pooling: Pooling) -> None:
        super().__init__()
        self.heard, self.pooling = heard, pooling
        seconds = float(heard.axes["seconds_per_frame"])
        first, last = covered(heard.n_frames, seconds, heard.n_samples / heard.rate, frames)
        self.least, self.most = int((last - first).min()) + 1, int((last - first).max()) + 1
        self.n_dims = heard.n_dims * (2 if pooling == "mean-std" else 1)
        self.register_buffer("first", torch.from_numpy(first), persistent=False)
        self.register_buffer("last", torch.from_numpy(last), persistent=False)

    def of_dims(self, axis: str, default: float | bool) -> NDArray[Any]:
        """Return an axis of the representation for every dim, (n_dims,)."""
        values = np.asarray(self.heard.axes.get(axis, np.full(self.heard.n_dims, default)))
        return np.tile(values, self.n_dims // self.heard.n_dims)

    @torch.no_grad()
    def forward(self, wave: Tensor) -> Tensor:
        """Return the mean, or mean and deviation, over the frames that lie in each common frame.

        They are added one after another, so that the bits depend on no batch and on no thread.
        """
        features = self.heard.checked(wave)
        count = (self.last - self.first + 1)[:, None]
        mean = self._sum(features) / count
        if self.pooling == "mean":
            return mean
        return torch.cat([mean, (self._sum(features, mean) / count).sqrt()], dim=2)

    def _sum(self, features: Tensor, mean: Tensor | None = None) -> Tensor:
        """Return the sum over the frames of each common frame, or that of their squared distances from `mean`."""
        total = features.new_zeros(())
        for step in range(self.most):
            at = self.first + step
            taken = features[:, torch.minimum(at, self.last)]
            if mean is not None:
                taken = (taken - mean).square()
            total = total + (taken if step < self.least else taken * (at <= self.last)[:, None])
        return total


def middles(n: int, seconds: float, duration: float) -> NDArray[np.float64]:
    """Return when `n` frames are, (n,), in seconds, as far as their number tells: around the middle of the clip."""
    steps = np.arange(n, dtype=np.float64) - (n - 1) / 2
    return duration / 2 + steps * seconds


def covered(n: int, seconds: float, duration: float, frames: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the last of `n` frames that lie in each of the common `frames` of a clip, (frames,) each.

    seconds: from one of the `n` frames to the next. duration: of the clip in seconds. Where none lies, it is the one
    that is nearest to the middle of the common frame.

    >>> [each.tolist() for each in covered(5, seconds=1, duration=4, frames=2)]  # at 0, 1, 2, 3 and 4 s
    [[0, 2], [1, 4]]
    >>> [each.tolist() for each in covered(2, seconds=2, duration=4, frames=4)]  # at 1 and 3 s
    [[0, 0, 1, 1], [0, 0, 1, 1]]
    """
    times = middles(n, seconds, duration)
    cell = np.clip(np.floor(times * frames / duration), 0, frames - 1)
    first, after = (np.searchsorted(cell, np.arange(frames), side) for side in ("left", "right"))
    nearest = np.searchsorted((times[1:] + times[:-1]) / 2, (np.arange(frames) + 0.5) * duration / frames)
    empty = first == after
    return np.where(empty, nearest, first), np.where(empty, nearest, after - 1)


def separated(name: str, part: Mapping[str, Any], common: Mapping[str, Any]) -> tuple[str, dict[str, Any], Pooling]:
    """Return the kind of a part, the options of the kind, and how its frames are pooled.

    common: rate and samples of the joint. Raises OptionError if the kind is missing, unknown or joint again, if another
    pooling is named, or if the part has a setting that is the same for all.
    """
    key = f"parts.{name}"
    known = [kind for kind in representations.kinds() if kind != KIND]
    require(isinstance(part, Mapping), KIND, key, "be a mapping with a `kind` and its options", part)
    kind = part.get("kind")
    hint = "the parts of a joint stand beside the others" if kind == KIND else near(kind, known).strip(": ")
    require(kind in known, KIND, f"{key}.kind", f"be one of {', '.join(known)}", kind, hint)
    for other in COMMON:
        require(
            other not in part, KIND, f"{key}.{other}", "be left out", part.get(other),
            f"all parts are computed from one wave, with the {other} of the joint: {common.get(other, 'beside parts')}",
        )  # fmt: skip
    options = {option: value for option, value in part.items() if option != "kind"}
    if "pooling" in representations.options(str(kind)):
        return str(kind), options, "mean"
    pooling = options.pop("pooling", "mean")
    require(pooling in get_args(Pooling), KIND, f"{key}.pooling", "be mean or mean-std", pooling)
    return str(kind), options, pooling


def _built(
    name: str, kind: str, options: Mapping[str, Any], pooling: Pooling, common: Mapping[str, Any]
) -> tuple[Representation, Pooling]:
    build = doors.opened("representations", kind)
    try:
        return build(rate=common["rate"], n_samples=common["samples"], **options), pooling
    except OptionError as error:
        raise OptionError(KIND, f"parts.{name}.{error.key}", error.wrong) from None


def completed(options: Mapping[str, Any], config: RepresentationConfig, above: Sequence[str]) -> dict[str, Any]:
    """Return the options with every option of every part. above: the keys of params.yaml that lead to them.

    Raises ConfigError or OptionError if a part is not as it must be, and if it reads a file whose digest is not given:
    DVC sees params.yaml alone, so that another file has to stand there.
    """
    parts = {}
    for name, part in options["parts"].items():
        kind, own, pooling = separated(name, part, {"rate": config.rate, "samples": config.samples})
        try:
            found = representations.complete(kind, own, (*above, "parts", name))
        except OptionError as error:
            raise OptionError(KIND, f"parts.{name}.{error.key}", error.wrong) from None
        if (digest := found.get("sha256")) != own.get("sha256"):
            raise OptionError(
                KIND, f"parts.{name}.sha256", f"is missing: write `sha256: {digest}`, that of {found['file']}; with "
                "another file it must be changed, so that the features are computed again",
            )  # fmt: skip
        pools = {} if "pooling" in found else {"pooling": pooling}
        parts[name] = {"kind": kind, **found, **pools}
    return dict(options) | {"parts": parts}


def kinds(options: Mapping[str, Any]) -> list[str]:
    """Return the kinds of the parts, sorted."""
    return sorted({str(part["kind"]) for part in options["parts"].values()})


def libraries(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the packages, beside those of all representations, whose versions may change a part."""
    named = [(representations.hook(part["kind"], "libraries"), part) for part in options["parts"].values()]
    return tuple(sorted({name for of, part in named if of is not None for name in of(part)}))


build = Joint
