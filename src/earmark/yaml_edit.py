"""Add to a YAML text of sections, as params.yaml is one: all that stands there already stays, byte for byte.

Only what is added is written. A program that reads YAML and writes it again would keep the comments, but break and join
lines as it likes, and a diff would show lines that nobody touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import yaml

WIDEST = 1_000_000  # one line per entry, however long


class _Dumper(yaml.SafeDumper):
    """Writes numbers so that YAML 1.1 and 1.2 read the same: 1e-05 is a text to the first."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own name
        return True


def _number(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:float", f"{Decimal(repr(value)):f}")


_Dumper.add_representer(float, _number)


def flow(value: Any) -> str:
    """Return a value in one line.

    >>> flow({"T": 8192, "Q": (8, 1), "learning_rate": 1e-5, "classes": ["yes", "new age"]})
    "{T: 8192, Q: [8, 1], learning_rate: 0.00001, classes: ['yes', new age]}"
    """
    plain = _plain(value)
    text = yaml.dump(plain, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=WIDEST, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def line(key: str, value: Any) -> str:
    """Return an entry in one line; a key of digits stays a text.

    >>> line("16000", {"samples": 465984})
    '"16000": {samples: 465984}'
    """
    return f'"{key}": {flow(value)}' if key.isdecimal() else f"{flow(key)}: {flow(value)}"


def added(text: str, section: str, key: str, value: Any) -> str:
    r"""Return the text with an entry more, after all others of its section; a section that is not there comes last.

    >>> print(added("sizes: # in m\n  small: {x: 1} # or less\n\nothers: {}\n", "sizes", "large", {"x": 2}), end="")
    sizes: # in m
      small: {x: 1} # or less
      large: {x: 2}
    <BLANKLINE>
    others: {}
    """
    entry, newline = line(key, value), "\r\n" if "\r\n" in text else "\n"
    root = _composed(text)
    sections = _entries(root)
    if section not in sections:
        start = "" if not text or text.endswith("\n") else newline
        return f"{text}{start}{newline}{section}:{newline}  {entry}{newline}"
    held = sections[section]
    if not held.flow_style:
        column = held.value[0][0].start_mark.column
        place = _end_of_line(text, _last(text, root, section))
        return _with_line(text, place, " " * column + entry, newline)
    if held.value:
        place = _last(text, root, section, inside=True)
        return f"{text[:place]}, {entry}{text[place:]}"
    indent = next((one.value[0][0].start_mark.column for one in sections.values() if _is_block(one)), 2)
    start, end = held.start_mark.index, held.end_mark.index
    opened = text[:start].rstrip(" ") + text[end:]
    place = _end_of_line(opened, len(text[:start].rstrip(" ")))
    return _with_line(opened, place, " " * indent + entry, newline)


def replaced(text: str, section: str, key: str, option: str, value: Any) -> str:
    """Return the text with another value of ``section.key.option``, which is there.

    >>> replaced("sizes: {small: {x: 1, y: 5}} # in m", "sizes", "small", "x", 2)
    'sizes: {small: {x: 2, y: 5}} # in m'
    """
    node = _composed(text)
    for name in (section, key, option):
        node = _entries(node)[name]
    return text[: node.start_mark.index] + flow(value) + text[node.end_mark.index :]


def _composed(text: str) -> yaml.Node:
    """Return the tree of a text, which is not empty."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert node is not None
    return node


def _entries(node: yaml.Node) -> dict[str, Any]:
    """Return the nodes of a mapping by the text of their keys; 16_000 and "16000" are one."""
    found = {}
    for key, value in node.value:
        name = str(key.value)
        found[name.replace("_", "") if name.replace("_", "").isdecimal() else name] = value
    return found


def _is_block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and not node.flow_style and bool(node.value)


def _last(text: str, root: yaml.Node, section: str, inside: bool = False) -> int:
    """Return where the content of a section ends; comments behind it are no content.

    inside: whether the bracket that closes the section is left out.
    """
    starts = [key.start_mark.index for key, _ in root.value]
    names = [key.value for key, _ in root.value]
    first = names.index(section)
    end = starts[first + 1] if first + 1 < len(starts) else len(text)
    tokens = list(_content(text, starts[first], end))
    return tokens[-1 - inside].end_mark.index


def _content(text: str, start: int, end: int) -> Iterator[Any]:
    """Yield the tokens between two places that stand for characters of the text, commas left out."""
    silent = (yaml.BlockEndToken, yaml.StreamEndToken, yaml.DocumentEndToken, yaml.FlowEntryToken, yaml.KeyToken)
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if start <= token.start_mark.index < end and not isinstance(token, silent):
            yield token


def _end_of_line(text: str, place: int) -> int:
    """Return the place behind the line that something ends in."""
    if place and text[place - 1] == "\n":  # a text of several lines ends where the next line begins
        return place
    end = text.find("\n", place)
    return len(text) if end < 0 else end + 1


def _with_line(text: str, place: int, entry: str, newline: str) -> str:
    before = text[:place] if text[:place].endswith("\n") else text[:place] + newline
    return before + entry + newline + text[place:]
