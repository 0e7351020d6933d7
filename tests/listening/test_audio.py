"""Files of the corpus for a browser: none from elsewhere, and ranges of bytes as RFC 9110 has them."""

from __future__ import annotations

import pytest

from earmark.errors import EarmarkError
from earmark.listening.audio import RangeError, byte_range, locate


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "corpus/0").mkdir(parents=True)
    (tmp_path / "corpus/0/a b.mp3").write_bytes(b"x")
    (tmp_path / "secret.mp3").write_bytes(b"secret")
    (tmp_path / "corpus-other").mkdir()
    (tmp_path / "corpus-other/a.mp3").write_bytes(b"secret")
    (tmp_path / "corpus/out.mp3").symlink_to(tmp_path / "secret.mp3")
    (tmp_path / "corpus/folder").symlink_to(tmp_path)
    (tmp_path / "corpus/in.mp3").symlink_to(tmp_path / "corpus/0/a b.mp3")
    (tmp_path / "corpus/loop.mp3").symlink_to(tmp_path / "corpus/loop.mp3")
    return tmp_path / "corpus"


def test_a_file_of_the_corpus_is_found_also_by_a_link_within_and_in_a_corpus_that_is_a_link(corpus, tmp_path):
    (tmp_path / "linked").symlink_to(corpus)
    for root in (corpus, tmp_path / "linked"):
        assert locate(root, "0/a b.mp3").read_bytes() == b"x"
        assert locate(root, "in.mp3").read_bytes() == b"x"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.mp3", "0/../../secret.mp3", "out.mp3", "folder/secret.mp3", "loop.mp3", "/etc/passwd", "gone.mp3",
        "0", "", ".", "../corpus-other/a.mp3", "%2e%2e/secret.mp3", "a\0b", "x" * 5000,
    ],
)  # fmt: skip
def test_nothing_else_is(corpus, path):
    with pytest.raises(EarmarkError):
        locate(corpus, path)


def test_an_error_names_the_file_and_the_folder(corpus):
    with pytest.raises(EarmarkError, match=r"out\.mp3 leads out of .*corpus, the corpus's audio"):
        locate(corpus, "out.mp3")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None), ("", None), ("bytes=0-", (0, 10)), ("bytes=0-0", (0, 1)), ("bytes=3-5", (3, 6)),
        ("bytes=9-99", (9, 10)), ("bytes=-3", (7, 10)), ("bytes=-99", (0, 10)), ("bytes=-", None),
        ("bytes=5-3", None), ("items=0-1", None), ("bytes=0-1,3-4", None), ("bytes=a-b", None), ("bytes 0-1", None),
        (" bytes=0-1 ", (0, 2)),
    ],
)  # fmt: skip
def test_ranges(header, expected):
    assert byte_range(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0", "bytes=" + "9" * 5000 + "-"])
def test_ranges_beyond_the_end(header):
    with pytest.raises(RangeError):
        byte_range(header, 10)


def test_an_empty_file_has_no_range():
    with pytest.raises(RangeError):
        byte_range("bytes=0-", 0)
    assert byte_range(None, 0) is None
