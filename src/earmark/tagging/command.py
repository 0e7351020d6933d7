"""`earmark tag`: predict the tags of files and write them where players and people find them."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from earmark import predict, progress
from earmark.decode.audio_files import listed
from earmark.errors import EarmarkError, reason
from earmark.predict_files import chosen, predicted
from earmark.prediction import Prediction, Wish
from earmark.tagging import own_tags, playlists, sidecar
from earmark.tagging.provenance import Written

KINDS = {"sidecar": sidecar, "id3": own_tags}


def run(args: Namespace) -> int:
    """Write the tags of every file, or take them out again; return 1 if that failed for one of them."""
    found = listed(args.file)
    if args.write == "m3u" and args.out is None:
        raise EarmarkError("--write m3u needs --out FOLDER, where the playlists shall be")
    if args.undo:
        return _undo(args, found.files)
    predictor = predict.open_predictor(args.params, args.model, args.data, args.threshold)
    progress.detail(f"tag: {len(found.files)} files by {predictor.about()}")
    wish = Wish(args.top, args.min, chosen(args.tags, predictor.tags))
    model = predictor.saved.experiment
    failed = 0
    entries: list[tuple[str, Written]] = []
    for name, result in predicted(predictor, found.files):
        if not isinstance(result, Prediction):
            failed += 1
            progress.line(f"{name}: {result}")
            continue
        file, tags = found.files[name], Written.of(result, model, wish)
        done = f"{name}: {', '.join(tags.names) or 'no tag is predicted'} (not written)"
        try:
            if args.write == "m3u":
                entries.append((playlists.entry(args.out, file), tags))
            elif not args.dry_run:
                done = KINDS[args.write].write(file, tags)
        except (EarmarkError, OSError) as error:
            failed += 1
            progress.line(_why(file, error))
            continue
        if args.dry_run or args.write != "m3u":
            progress.show(done)
    if args.write == "m3u" and not args.dry_run:
        for line in playlists.write(args.out, entries):
            progress.show(line)
    if failed:
        print(f"without tags: {failed} of {len(found.files)}", file=sys.stderr)
    return 1 if failed or found.unread else 0


def _undo(args: Namespace, files: dict[str, Path]) -> int:
    """Take out what was written; return 1 if that failed for a file."""
    if args.write == "m3u":
        for line in playlists.undo(args.out):
            print(line)
        return 0
    failed = 0
    for file in files.values():
        try:
            done = None if args.dry_run else KINDS[args.write].undo(file)
        except (EarmarkError, OSError) as error:
            failed += 1
            print(_why(file, error), file=sys.stderr)
            continue
        if done is not None:
            print(done)
    return 1 if failed else 0


def _why(file: Path, error: EarmarkError | OSError) -> str:
    """Say why nothing was done for a file; what the system refuses for one need not be refused for the next."""
    return f"{file}: {reason(error)}" if isinstance(error, OSError) else str(error)
