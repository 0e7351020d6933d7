"""What of a module's source can change a result, and what cannot."""

from __future__ import annotations

import pytest

from earmark.storage import source

SAME = [
    ("x = 1\n", "x = 1  # why\n"),
    ("x = 1\n", "\n\n# why\nx   =   1\n"),
    ("def f():\n    return 1\n", 'def f():\n    """Doc."""\n\n    return 1\n'),
    ("def f():\n    return 1\n", 'def f():\n  ("Doc " \n   "of two.")\n  return 1\n'),
    ("class C:\n    x = 1\n", 'class C:\n    """Doc."""\n\n    x = 1\n    """What x is."""\n'),
    ("x = f(1, 2)\n", "x = f(\n    1,  # one\n    2\n)\n"),
    ("x = 1\n", "x = 1"),
    ("if a:\n    x = 1\n", "if a:\n\n\tx = 1\n"),
]
OTHER = [
    ("x = 1\n", "x = 2\n"),
    ("x = '# a'\n", "x = '# b'\n"),
    ("x = f'{a}  b'\n", "x = f'{a} b'\n"),
    ("x = '''a\n\nb'''\n", "x = '''a\nb'''\n"),
    ("def f():\n    return 'a'\n", "def f():\n    return 'b'\n"),
    ("if a:\n    x = 1\ny = 1\n", "if a:\n    x = 1\n    y = 1\n"),
    ("x = 'a'\n", 'x = """a """\n'),
    ("x = ab\n", "x = a, b\n"),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_comments_docstrings_and_layout_do_not_count(one, two):
    assert source.essence(one) == source.essence(two)


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_what_may_change_a_result_counts(one, two):
    assert source.essence(one) != source.essence(two)
