"""YAML as people write it, without its traps: a key given twice, aliases that unfold without end, odd encodings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from earmark.errors import EarmarkError, reason

LARGEST = 1_000_000  # nodes of a file with its aliases unfolded; a params.yaml has some hundreds


# 050 is forty, 1:30 is ninety and 16_000 another text than 16000; .inf and .nan are for those who read it to refuse
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_PLAIN = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?i:inf|nan)")


class YamlError(EarmarkError):
    """A YAML file that cannot be used; the text names the file, the line and the cause."""


def read(path: Path, hint: str = "") -> Any:
    """Return the content of a YAML file. Raises YamlError if it cannot be read, or does not say one thing only.

    hint: what to do if there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise YamlError(f"{path} is not UTF-8 at byte {error.start}: another encoding, or no text at all") from None
    except FileNotFoundError:
        raise YamlError(f"{path} does not exist{hint}") from None
    except OSError as error:
        raise YamlError(f"{path} cannot be read: {reason(error)}") from None
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check(node, path, [], {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise YamlError(f"{path} is not valid YAML: {error}") from None
    except RecursionError:
        raise YamlError(f"{path} is nested too deeply to be read") from None
    except ValueError as error:  # a date that is none, a number of thousands of digits
        if isinstance(error, YamlError):
            raise
        raise YamlError(f"{path} holds a value that cannot be read: {error}") from None


def _check(node: yaml.Node, path: Path, inside: list[yaml.Node], sizes: dict[int, int]) -> int:
    """Count the nodes from ``node`` on, aliases unfolded; YamlError for too many of them, and for a key given twice."""
    if (known := sizes.get(id(node))) is not None:
        return known
    if any(node is outer for outer in inside):
        raise YamlError(f"{path}, line {node.start_mark.line + 1}: an alias stands inside of what it stands for")
    inside.append(node)
    size = 1
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line, name = key.start_mark.line + 1, getattr(key, "value", None)
            if isinstance(name, str):  # by its text: 16000 and "16000" are one sampling rate
                if name in seen:
                    raise YamlError(
                        f"{path}, line {line}: the key {name!r} stands in line {seen[name]} already, in the same "
                        "mapping; only one of them would count"
                    )
                seen[name] = line
            size += _check(key, path, inside, sizes) + _check(value, path, inside, sizes)
    elif isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and not _PLAIN.fullmatch(node.value):
        raise YamlError(
            f"{path}, line {node.start_mark.line + 1}: a number must be written in plain decimal digits, got "
            f"{node.value[:60]!r}: YAML 1.1 reads a leading 0, 0x, a colon and an underscore in a way of its own"
        )
    elif isinstance(node, yaml.SequenceNode):
        size += sum(_check(entry, path, inside, sizes) for entry in node.value)
    if size > LARGEST:
        raise YamlError(f"{path}, line {node.start_mark.line + 1}: its aliases unfold to over {LARGEST:,} values")
    inside.pop()
    sizes[id(node)] = size
    return size
