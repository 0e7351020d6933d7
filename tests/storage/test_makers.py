"""Which shards are made again so that all that stand side by side have the same makers."""

from __future__ import annotations

import pytest

from earmark.storage.makers import stale, stale_reason

OLD, NEW = {"soxr": "1", "numpy": "2"}, {"soxr": "2", "numpy": "2"}


@pytest.mark.parametrize(
    ("current", "made"),
    [
        ({}, set()),
        ({"a": NEW, "b": NEW}, set()),
        ({"a": OLD, "b": OLD}, set()),  # pulled from a colleague
        ({"a": NEW, "b": None}, {"b"}),
        ({"a": OLD, "b": None}, {"a", "b"}),
        ({"a": OLD, "b": NEW}, {"a"}),
        ({"a": OLD, "b": {"soxr": "3"}}, {"a", "b"}),
        ({"a": None, "b": None}, {"a", "b"}),
        ({"a": {"soxr": "2"}, "b": None}, {"a", "b"}),  # a library that was not recorded is another one
    ],
)
def test_a_folder_ends_with_shards_of_the_same_makers_and_one_that_has_them_is_left(current, made):
    assert stale(current, NEW) == made
    after = [NEW if name in made else makers for name, makers in current.items()]
    assert all(makers == after[0] for makers in after)


def test_the_reason_names_what_differs_and_is_none_where_nothing_was_up_to_date():
    current = {"a": OLD, "b": {"soxr": "0"}, "c": None, "d": NEW}
    assert stale_reason(current, {"c"}, NEW) is None
    assert stale_reason(current, stale(current, NEW), NEW) == (
        "2 shards of other makers (numpy none, here 2; soxr 0 and 1, here 2) must be made again: shards that stand "
        "side by side have the same makers"
    )
