"""`earmark embed`, `earmark similar`, and what `earmark corpus check --deep` adds."""

from __future__ import annotations

import argparse
import sys

from earmark.embeddings import audio_files, run, table
from earmark.embeddings.embedder import open_embedder
from earmark.errors import EarmarkError


def embed(args: argparse.Namespace) -> int:
    """Write the embeddings of files and folders into a table; return 1 if a file has none."""
    table.require_format(args.out)
    found = audio_files.listed(args.file)
    if not found.files and not found.unread:
        raise EarmarkError(
            f"{', '.join(map(str, args.file))}: no file there ends in {', '.join(audio_files.AUDIO)}; a file that is "
            "named itself may be called anything"
        )
    embedder = open_embedder(args.params, args.model, args.layer, args.data)
    done = run.embed_files(embedder, found.files, args.out, args.dtype, args.per_segment, found.unread)
    ready = done.files - done.computed
    print(f"{args.out}: {done.files} files by {embedder.name}, {done.width} dims", end="")
    print(f"; {ready} of them were there already" if ready else "")
    if found.others:
        told = ", ".join(f"{suffix} ({count})" for suffix, count in found.others.most_common(5))
        print(f"{found.others.total()} files of other suffixes are left out: {told}", file=sys.stderr)
    if done.rejected:
        print(f"{len(done.rejected)} files have none, see {run.rejects(args.out)}: {done.reasons()}", file=sys.stderr)
    return 1 if done.rejected else 0
