"""MagnaTagATune as its authors distribute it: a zip in three parts, and two tables."""

from __future__ import annotations

from pathlib import Path

from earmark.download.archive import parts_of, unpack
from earmark.download.fetch import Patience, fetch
from earmark.errors import EarmarkError

BASE_URL = "https://mirg.city.ac.uk/datasets/magnatagatune"
PARTS = ("mp3.zip.001", "mp3.zip.002", "mp3.zip.003")
TABLES = ("annotations_final.csv", "clip_info_final.csv")
PATIENCE = Patience()


def prepare(folder: Path, download: bool, base_url: str | None = None) -> str:
    """Unpack the parts in ``folder`` into ``folder``/audio. Return a report, with the lines that params.yaml needs.

    download: whether missing files are fetched first. What is already done is skipped, so that a stopped run can go on.

    Raises EarmarkError if a file is missing, cannot be fetched, or cannot be unpacked.
    """
    if download:
        for name in (*TABLES, *PARTS):
            fetch(f"{(base_url or BASE_URL).rstrip('/')}/{name}", folder / name, PATIENCE)
    missing = [name for name in (TABLES[0], *PARTS) if not (folder / name).is_file()]
    if missing:
        raise EarmarkError(f"{folder} lacks {', '.join(missing)}; put the files there, or add --download")
    counts = unpack(parts_of(folder / PARTS[0]), folder / "audio")
    return (
        f"{counts['written']} files unpacked, {counts['kept']} were there. In params.yaml:\n"
        f"corpus:\n  kind: magnatagatune\n  audio: {folder / 'audio'}\n  annotations: {folder / TABLES[0]}\n"
    )
