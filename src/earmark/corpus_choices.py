"""The sections below ``corpus`` in params.yaml for the data sets that leave a choice: which split, subset or tags."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from earmark.sections import Section


class JamendoConfig(Section):
    """The choice among MTG-Jamendo's five splits and its sets of tags."""

    split: int = Field(default=0, ge=0, le=4)
    subset: Literal["all", "top50", "genre", "instrument", "moodtheme"] = "top50"


class FmaConfig(Section):
    """The choice among FMA's sizes, each of which holds those before it, and its genres.

    genres: ``top``, the one top-level genre of a track, if it has one; ``all``, every genre and what these belong to.
    """

    subset: Literal["small", "medium", "large", "full"] = "small"
    genres: Literal["top", "all"] = "top"


class MirdataConfig(Section):
    """A data set of the package mirdata, and the attributes of its tracks that are read.

    dataset: its name there. attribute: what holds the tag or tags of a track. artist, song, split: what holds these,
    null if nothing does. Tracks need not have an attribute that only the default names.
    """

    dataset: str
    attribute: str = "genre"
    artist: str | None = "artist"
    song: str | None = None
    split: str | None = "split"
