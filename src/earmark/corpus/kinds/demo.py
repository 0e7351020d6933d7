"""The demo corpus, which the stage ``demo`` renders in the layout of MagnaTagATune."""

from __future__ import annotations

from earmark.config import CorpusConfig
from earmark.corpus.kinds import magnatagatune
from earmark.corpus.manifest import Clip, CorpusError, TagTable


def corpus(config: CorpusConfig) -> tuple[list[Clip], TagTable]:
    """Return the clips and tags of the rendered corpus. Raises CorpusError if it has not been rendered."""
    if not config.audio.is_dir():
        raise CorpusError(
            f"corpus.audio: {config.audio} does not exist; `dvc repro demo` renders the demo corpus there"
        )
    return magnatagatune.corpus(config)
