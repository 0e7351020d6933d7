"""The pages of Ogg: which hold headers, and where a stream begins."""

from __future__ import annotations

import pytest
from helpers.music import music
from helpers.sound_files import encoded

from earmark.decode.bytes_of_file import FileBytes
from earmark.decode.ogg_pages import Link, Page, links, pages

FILES = {kind: encoded(music(96_000, 48_000), 48_000, "OGG", subtype=kind.upper()) for kind in ("vorbis", "opus")}


def page(number: int, granule: int) -> Page:
    return Page(0, 0, 0, 1, 0, granule, 7, number)


@pytest.mark.parametrize("kind", FILES)
def test_pages_take_up_the_whole_file_and_headers_are_known_by_their_number(tmp_path, kind):
    (tmp_path / "x").write_bytes(FILES[kind])
    with (tmp_path / "x").open("rb") as file:
        data = FileBytes(file)
        found, (link,) = list(pages(data)), links(data)
        data.close()
    assert [one.stop for one in found] == [*(one.start for one in found[1:]), len(FILES[kind])]
    assert (link.kind, link.to_come, len(link.runs), link.ended) == (kind, 0, 1, True)
    assert sum(one.ended for one in link.headers) == (3 if kind == "vorbis" else 2)
    assert link.end(link.runs[0]) == 96_000


@pytest.mark.parametrize(
    ("number", "granule", "start"),
    [
        (1, 10_000, 9_000),  # nothing is lost: it may begin anywhere
        (3, 3_000, 0),  # two pages are lost, which hold all that is lacking
        (3, 3_200, 0),
        (3, 10_000, 7_000),  # and which do not
    ],
)
def test_a_stream_begins_where_the_pages_that_are_lost_can_have_begun(number, granule, start):
    run = [page(number + i, granule - 1_000 * (2 - i)) for i in range(3)]
    assert Link("vorbis", [page(0, 0)], 0, runs=[run]).start(0, 1_000) == start
