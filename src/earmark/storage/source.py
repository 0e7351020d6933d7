"""The source of a module: its syntax tree, the strings in it, and what of it can change a result.

Nothing is executed, and the same source gives the same tokens under every version of Python.
"""

from __future__ import annotations

import ast
import contextlib
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

from earmark.errors import EarmarkError


def read_source(file: Path) -> str:
    """Return the text of a module, without a byte order mark. Raises EarmarkError if it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig")  # and with \n for every line end
    except UnicodeDecodeError as error:
        raise EarmarkError(f"{file} is not UTF-8 at byte {error.start}: save it in that encoding") from None


def syntax_tree(source: str, name: str = "<source>") -> ast.AST:
    """Return the syntax tree of a source. Raises SyntaxError, which names the file ``name``."""
    for _ in range(3):
        with contextlib.suppress(SystemError):  # of Python 3.11's parser, where another thread makes trees, too
            return ast.parse(source, name)
    return ast.parse(source, name)


@cache
def strings(file: Path) -> tuple[str, ...]:
    """Return the string constants of a module, docstrings left out."""
    tree = syntax_tree(read_source(file), str(file))
    idle = {id(node.value) for node in ast.walk(tree) if _is_docstring(node)}
    return tuple(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in idle
    )


def essence(source: str) -> list[str]:
    """Return the tokens of a module without comments, docstrings and layout, the same under every version of Python.

    A statement that is only a string does nothing, wherever it stands: it is a docstring here. Since 3.12 the tokeniser
    takes f-strings apart; they are put together again from the places where they begin and end.
    """
    lines = io.StringIO(source).readlines()  # str.splitlines knows more line ends than Python has
    found: list[str] = []
    idle = sorted(_docstrings(source, lines), reverse=True)
    beginning: tuple[int, int] | None = None
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        while idle and token.start >= idle[-1][1]:
            idle.pop()
        if kind in ("COMMENT", "NL", "ENDMARKER") or (idle and idle[-1][0] <= token.start):
            continue
        if kind in ("FSTRING_START", "TSTRING_START"):
            beginning = beginning if depth else token.start
            depth += 1
        elif kind in ("FSTRING_END", "TSTRING_END"):
            depth -= 1
            if not depth and beginning is not None:
                found.append(_between(lines, beginning, token.end))
        elif depth:
            continue
        elif kind in ("NEWLINE", "INDENT", "DEDENT"):
            if kind != "NEWLINE" or (found and found[-1] not in ("<NEWLINE>", "<INDENT>", "<DEDENT>")):
                found.append(f"<{kind}>")
        else:
            found.append(token.string)
    return found


def _docstrings(source: str, lines: list[str]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield where statements that are only a string begin and end: (line from 1, character) as the tokeniser counts."""
    for node in ast.walk(syntax_tree(source)):
        if _is_docstring(node):
            assert node.end_lineno is not None
            assert node.end_col_offset is not None
            first = _characters(lines[node.lineno - 1], node.col_offset)
            last = _characters(lines[node.end_lineno - 1], node.end_col_offset)
            yield (node.lineno, first), (node.end_lineno, last)


def _is_docstring(node: ast.AST) -> TypeGuard[ast.Expr]:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _characters(line: str, offset: int) -> int:
    """Return the place in a line that the parser gives in bytes of UTF-8, in characters."""
    return len(line.encode()[:offset].decode())


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """Return the source from one place to another."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    middle = lines[start[0] : end[0] - 1]
    return "".join([lines[start[0] - 1][start[1] :], *middle, lines[end[0] - 1][: end[1]]])
