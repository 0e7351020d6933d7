"""Text that users bring: absent or in another encoding, it is named."""

from __future__ import annotations

from pathlib import Path

from earmark.manifest import CorpusError


def read_text(file: Path, key: str = "corpus.annotations", hint: str = "", encoding: str = "utf-8") -> str:
    """The content of a UTF-8 file; CorpusError, with the key of params.yaml that leads to it, where it is none."""
    try:
        return file.read_text(encoding=encoding)
    except FileNotFoundError:
        raise CorpusError(f"{key}: {file} does not exist{hint}") from None
    except UnicodeDecodeError as error:
        raise CorpusError(f"{file} is not UTF-8 at byte {error.start}: {error.reason}") from None
