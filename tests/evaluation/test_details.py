"""Files of metrics as they are read again: what one lacks is told with its name."""

from __future__ import annotations

import pytest

from earmark.errors import EarmarkError
from earmark.evaluation.details import details, read_metrics, trainings_of
from earmark.files import write_json


def test_a_key_that_is_not_there_is_told_with_the_file_wherever_it_should_stand(tmp_path):
    content = details({"clips": 9, "tags": [{"name": "a"}]}, {1: {"epochs": 8}})
    write_json(tmp_path / "x.json", content)
    found = read_metrics(tmp_path / "x.json")
    assert found == content
    assert found.get("more") is None
    for look in (lambda: found["more"], lambda: trainings_of(found)[0]["seed"], lambda: found["test"]["tags"][0]["x"]):
        with pytest.raises(EarmarkError, match=r"x\.json lacks '\w+': it is damaged, or of another version; run the"):
            look()
