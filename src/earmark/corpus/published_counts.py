"""The published counts of MagnaTagATune: results compare with the literature only if they are of the same clips.

Law et al. 2009 published 25,863 rows. Song et al. 2018 use the 21,108 that have any of the 50 most frequent tags.
Panwar et al. and Dalla Longa et al. merge synonyms first, which gives 21,358.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.corpus.labels import merge, read_synonyms, top_tags
from earmark.corpus.manifest import SPLITS, Clip, CorpusError, TagTable

BROKEN = frozenset(  # clips 35644, 55753 and 57881, all in the training split: no decoder can read them
    {
        "6/norine_braun-now_and_zen-08-gently-117-146.mp3",
        "8/jacob_heringman-josquin_des_prez_lute_settings-19-gintzler__pater_noster-204-233.mp3",
        "9/american_baroque-dances_and_suites_of_rameau_and_couperin-25-le_petit_rien_xiveme_ordre_couperin-88-117.mp3",
    }
)
ROWS = 25_863
RAW_TAGS = 188
SYNONYMS = Path(__file__).parent / "synonyms/magnatagatune.yaml"
EXPECTED = {  # clips in train, valid and test, if the folders decide the split
    "all rows": (18_709, 1_825, 5_329),
    "without the broken files": (18_706, 1_825, 5_329),
    "with a top-50 tag": (15_247, 1_529, 4_332),
    "with a top-50 tag, without the broken files": (15_244, 1_529, 4_332),
    "with a merged top-50 tag": (15_428, 1_538, 4_392),
}
SONGS, ARTISTS = 5_405, 230


def counts(clips: Sequence[Clip], table: TagTable) -> dict[str, tuple[int, ...]]:
    """Return the number of clips in train, valid and test, by the names of EXPECTED.

    Names whose count needs other tags than the table has are left out.
    """
    everything: NDArray[np.bool_] = np.ones(len(clips), bool)
    whole = np.array([clip.path not in BROKEN for clip in clips])
    found: dict[str, NDArray[Any]] = {"all rows": everything, "without the broken files": whole}
    groups = read_synonyms(SYNONYMS)
    if len(table.tags) == RAW_TAGS:
        tagged = _tagged(top_tags(table, 50))
        found |= {"with a top-50 tag": tagged, "with a top-50 tag, without the broken files": tagged & whole}
        found["with a merged top-50 tag"] = _tagged(top_tags(merge(table, groups), 50))
    elif len(table.tags) == 50 and not {tag for group in groups for tag in group[1:]} & set(table.tags):
        found["with a merged top-50 tag"] = _tagged(table)
    splits = np.array([clip.split for clip in clips])
    return {name: tuple(int((mask & (splits == s)).sum()) for s in SPLITS) for name, mask in found.items()}


def _tagged(table: TagTable) -> NDArray[np.bool_]:
    """Return a mask (clips,) of the clips that have any tag."""
    return np.asarray(table.values.max(axis=1) > 0)


def verify(clips: Sequence[Clip], table: TagTable) -> list[str]:
    """Compare MagnaTagATune, split by its folders, with the published counts. Return the lines of a table of them.

    Returns no line if the corpus does not have 25,863 clips, because nothing is published of another size.

    Raises CorpusError if a count differs: rows were edited, or moved to another folder.
    """
    if len(clips) != ROWS:
        return []
    people = {"songs": (len({c.song for c in clips}), SONGS), "artists": (len({c.artist for c in clips}), ARTISTS)}
    found = counts(clips, table)
    wrong = [f"{name}: {list(found[name])} where {list(EXPECTED[name])} are published" for name in found
             if found[name] != EXPECTED[name]]  # fmt: skip
    wrong += [f"{got} {name} where {right} are published" for name, (got, right) in people.items() if got != right]
    if wrong:
        raise CorpusError(f"corpus.annotations: {ROWS} rows, but not MagnaTagATune's: {'; '.join(wrong)}")
    width = max(map(len, found))
    lines = [f"{'':<{width}}  {'train':>7}{'valid':>7}{'test':>7}{'total':>8}"]
    lines += [f"{name:<{width}}  {a:>7,}{b:>7,}{c:>7,}{a + b + c:>8,}" for name, (a, b, c) in found.items()]
    return [*lines, f"{SONGS:,} songs, {ARTISTS} artists: as published"]
