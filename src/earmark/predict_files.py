"""`earmark predict`: the tags of files and folders, one file after the other, whatever becomes of one of them."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path

from earmark import predict, progress
from earmark.decode.audio import RejectedError
from earmark.decode.audio_files import listed
from earmark.doctor import why_not
from earmark.errors import EarmarkError, reason
from earmark.features.ahead import DecodedAhead, ahead
from earmark.predict import Prediction, Predictor


def run(args: Namespace) -> int:
    """Print the tags of every file; return 1 if a file has none, or a folder cannot be read."""
    found = listed(args.file)
    predictor = predict.open_predictor(args.params, args.model, args.data)
    predictions: list[Prediction] = []
    failed = dict(found.unread)
    for path, why in failed.items():
        progress.line(f"{path}: {why}")
    for path, result in predicted(predictor, found.files):
        if isinstance(result, Prediction):
            predictions.append(result)
            if not args.json:
                progress.show(result.table())
        else:
            failed[path] = result
            progress.line(f"{path}: {result}")
    if args.json:
        print(predict.as_json(predictions, failed), end="")
    if found.others:
        print(found.left_out(), file=sys.stderr)
    if failed and len(found.files) > 1:
        print(f"without tags: {len(failed)} of {len(predictions) + len(failed)}", file=sys.stderr)
    return 1 if failed else 0


def predicted(predictor: Predictor, files: Mapping[str, Path]) -> Iterator[tuple[str, Prediction | str]]:
    """Yield what is predicted for each file, by its name, or why nothing is; the next ones are decoded meanwhile."""

    def read(name: str) -> DecodedAhead:
        return DecodedAhead(predictor.listener, files[name])

    with progress.bar(len(files), "predict", "file") as bar:
        for name, decoded in ahead(read, files):
            try:
                yield name, predictor.predict_blocks(files[name], decoded.result())
            except (RejectedError, EarmarkError, UnicodeEncodeError) as error:
                yield name, why_not(error)
            except MemoryError:
                yield name, "needs more memory than there is"
            except OSError as error:
                yield name, f"not readable: {reason(error)}"
            bar.update()
