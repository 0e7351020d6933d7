"""The texts of the stage ``code``: a file per consumer, on which its stage depends in place of any source file."""

from __future__ import annotations

from pathlib import Path

from earmark import progress
from earmark.errors import EarmarkError
from earmark.files import write_text
from earmark.storage import provenance


def write(out: Path, scripts: Path) -> None:
    """Write ``out``/<consumer> for every consumer, and remove other files there.

    scripts: the folder of the stage scripts. A text holds the digest of the code, that of the stage's script, and below
    them the files that the digest covers: `dvc diff` and `diff` then tell why a stage runs.
    """
    names = provenance.consumers()
    try:
        texts = {name: _text(name, scripts / f"{name.partition('-')[0]}.py") for name in names}
    except SyntaxError as error:
        raise EarmarkError(f"{error.filename}, line {error.lineno}: {error.msg}") from None
    for name, text in texts.items():
        write_text(out / name, text)
    for other in set(out.iterdir()) - {out / name for name in names}:
        other.unlink()
    progress.say("code", f"{len(names)} digests")


def _text(consumer: str, script: Path) -> str:
    sources = provenance.sources(consumer)
    lines = [f"{provenance.digest_of(sources)} code", f"{provenance.source_digest(script)} {script.name}"]
    return "\n".join([*lines, *(f"  {value} {file}" for file, value in sources.items())]) + "\n"
