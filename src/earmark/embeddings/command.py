"""`earmark embed`, `earmark similar`, and what `earmark corpus check --deep` adds."""

from __future__ import annotations

import argparse
import json
import sys

from earmark import progress
from earmark.config import load
from earmark.decode import audio_files, pool
from earmark.decode.audio import RejectedError
from earmark.embeddings import run, similar, table
from earmark.embeddings.corpus import of_corpus
from earmark.embeddings.embedder import open_embedder


def embed(args: argparse.Namespace) -> int:
    """Write the embeddings of files and folders into a table; return 1 if a file has none."""
    table.require_format(args.out)
    found = audio_files.listed(args.file)
    embedder = open_embedder(args.params, args.model, args.layer, args.data)
    progress.detail(f"embed: {len(found.files)} files by {embedder.name}, EARMARK_WORKERS {pool.workers()}")
    done = run.embed_files(embedder, found.files, args.out, args.dtype, args.per_segment, found.unread)
    ready = done.files - done.computed
    print(f"{args.out}: {done.files} files by {embedder.name}, {done.width} dims", end="")
    print(f"; {ready} of them were there already" if ready else "")
    if found.others:
        print(found.left_out(), file=sys.stderr)
    if done.rejected:
        print(
            f"without an embedding: {len(done.rejected)}, see {run.rejects(args.out)}: {done.reasons()}",
            file=sys.stderr,
        )
    return 1 if done.rejected else 0


def find_similar(args: argparse.Namespace) -> int:
    """Print the clips of the corpus that are nearest to each file; return 1 if a file cannot be heard."""
    config = load(args.params)
    embedder = open_embedder(args.params, args.model, args.layer, args.data)
    tags = args.data / "corpus/tags.csv"
    corpus = similar.Corpus(of_corpus(config, args.data, embedder), config.corpus.audio, tags, args.metric)
    rows, failed = [], []
    for path in args.file:
        try:
            found = corpus.near(path, embedder.embed(path), args.top)
        except (RejectedError, UnicodeEncodeError) as error:
            failed.append({"file": str(path), "error": audio_files.why_not(error)})
            print(f"{path}: {audio_files.why_not(error)}", file=sys.stderr)
            continue
        rows += similar.as_rows(str(path), found)
        if not (args.json or args.csv):
            print(similar.as_table(str(path), found))
    if args.json:
        print(json.dumps(rows + failed, indent=2))
    if args.csv:
        print(similar.as_csv(rows), end="")
    return 1 if failed else 0
