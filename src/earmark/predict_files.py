"""`earmark predict`: the tags of files and folders, one file after the other, whatever becomes of one of them."""

from __future__ import annotations

import csv
import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from earmark import predict, progress, timeline
from earmark.decode.audio import RejectedError
from earmark.decode.audio_files import listed, why_not
from earmark.errors import EarmarkError, reason
from earmark.features.ahead import DecodedAhead, ahead
from earmark.files import put_in_place, spreadsheet_cell
from earmark.predict import Predictor
from earmark.prediction import Prediction, Wish
from earmark.sections import near

if TYPE_CHECKING:
    from earmark.judging import Judge

COLUMNS = ("file", "tag", "probability", "threshold", "predicted")
OF_SEGMENTS = ("file", "start", "end", "tag", "probability")


def run(args: Namespace) -> int:
    """Print the tags of every file; return 1 if a file has none, or a folder cannot be read."""
    if args.device:
        os.environ["EARMARK_DEVICE"] = args.device
    found = listed(args.file)
    predictor = predict.open_predictor(args.params, args.model, args.data, args.threshold)
    progress.detail(f"predict: {len(found.files)} files by {predictor.about()}")
    failed = dict(found.unread)
    with ExitStack() as stack:
        shown = _Shown(args, predictor.tags, stack)
        judge = _judge(args.labels, predictor.tags, [str(path) for path in found.files.values()])
        for path, why in failed.items():
            progress.line(f"{path}: {why}")
            shown.fail(path, why)
        for path, result in predicted(predictor, found.files):
            if isinstance(result, Prediction):
                result = result if judge is None else judge.with_labels(result)
                shown.add(result)
            else:
                failed[path] = result
                progress.line(f"{path}: {result}")
                shown.fail(path, result)
        shown.end()
    if judge is not None:
        print(judge.text(), end="", file=sys.stderr if shown.prints_data else sys.stdout)
    if found.others:
        print(found.left_out(), file=sys.stderr)
    if failed and len(found.files) > 1:
        print(f"without tags: {len(failed)} of {len(found.files) + len(found.unread)}", file=sys.stderr)
    return 1 if failed else 0


def _judge(labels: Path | None, tags: tuple[str, ...], files: list[str]) -> Judge | None:
    """Return what judges predictions, None without labels. It brings scikit-learn, which takes a second to import."""
    if labels is None:
        return None
    from earmark.judging import Judge

    return Judge.of(labels, tags, files)


class _Shown:
    """Where predictions go as they come: tables or JSON on standard output, a CSV, pictures."""

    def __init__(self, args: Namespace, tags: tuple[str, ...], stack: ExitStack) -> None:
        self.args, self.held = args, list[dict[str, Any]]()
        self.wish = Wish(args.top, args.min, chosen(args.tags, tags))
        to_stdout = args.csv is not None and str(args.csv) == "-"
        if to_stdout and (args.json or args.jsonl):
            raise EarmarkError("--csv - prints where --json and --jsonl do; name a file for one of them")
        self.prints_data = to_stdout or args.json or args.jsonl
        self.csv: Any = None
        if args.csv is not None:
            target = sys.stdout if to_stdout else stack.enter_context(_growing(args.csv))
            self.csv = csv.writer(target, lineterminator="\n")
            self.csv.writerow(OF_SEGMENTS if args.timeline else COLUMNS)

    def add(self, found: Prediction) -> None:
        """Show what is said of a file."""
        content = found.as_dict(self.wish, self.args.timeline)
        if self.args.jsonl:
            progress.show(json.dumps(content))
        elif self.args.json:
            self.held.append(content)
        elif not self.prints_data:
            progress.show(found.timeline_table(self.wish) if self.args.timeline else found.table(self.wish))
        if self.csv is not None:
            self._rows(found)
        if self.args.plot is not None:
            timeline.draw(found, self.wish, self.args.plot)

    def fail(self, file: str, why: str) -> None:
        """Show that a file has no tags."""
        if self.args.jsonl:
            progress.show(json.dumps({"file": file, "error": why}))
        elif self.args.json:
            self.held.append({"file": file, "error": why})

    def end(self) -> None:
        """Print what must be printed as a whole."""
        if self.args.json:
            in_order = [row for row in self.held if "error" not in row] + [row for row in self.held if "error" in row]
            print(json.dumps(in_order, indent=2))

    def _rows(self, found: Prediction) -> None:
        if not self.args.timeline:
            for row in found.rows(self.wish):
                values = (f"{row['probability']:.6f}", f"{row['threshold']:.6f}", int(row["predicted"]))
                self.csv.writerow((spreadsheet_cell(found.file), spreadsheet_cell(row["tag"]), *values))
            return
        for part in found.timeline(self.wish):
            for tag, value in part["tags"].items():
                times = (f"{part['start']:.3f}", f"{part['end']:.3f}")
                self.csv.writerow((spreadsheet_cell(found.file), *times, spreadsheet_cell(tag), f"{value:.6f}"))


@contextmanager
def _growing(path: Path) -> Iterator[TextIO]:
    """Give a file for rows that come one by one; it has its own name only when all are in it.

    They stand in NAME.partial until then, and stay there if the run ends early. A pipe is written as it is. What is not
    UTF-8 in the name of a file is escaped.
    """
    place = path if path.exists() and not path.is_file() else path.with_name(path.name + ".partial")
    try:
        if place != path:
            place.unlink(missing_ok=True)  # through a link there somebody else's file would be written
        with place.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            yield file
        if place != path:
            put_in_place(place, path)
    except BrokenPipeError:
        raise
    except OSError as error:
        kept = f"; the rows so far are in {place}" if place.is_file() else ""
        raise EarmarkError(f"{path} cannot be written: {reason(error)}{kept}") from None


def chosen(text: str | None, tags: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the tags that a list with commas asks for; what is itself a tag with commas is that one.

    Raises EarmarkError if the model does not know one.

    >>> chosen("piano, drum, bass", ("bass", "drum", "drum, bass", "piano"))
    ('piano', 'drum, bass')
    """
    if text is None:
        return None
    parts, wanted = text.split(","), list[str]()
    while parts:
        joined = {end: ",".join(parts[:end]).strip() for end in range(len(parts), 0, -1)}
        end = next((end for end, tag in joined.items() if tag in tags), 1)
        if (tag := joined[end]) and tag not in tags:
            raise EarmarkError(
                f"--tags must be tags of the model, got {tag!r}{near(tag, tags)}: it has {', '.join(tags)}"
            )
        wanted += [tag] if tag else []
        del parts[:end]
    if not wanted:
        raise EarmarkError(f"--tags must name a tag, got {text!r}: the model has {', '.join(tags)}")
    return tuple(dict.fromkeys(wanted))


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
