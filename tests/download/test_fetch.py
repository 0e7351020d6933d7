"""Downloads from a local server that makes the mistakes of real ones: resuming, trying again, checksums."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from earmark.download import fetch as fetching
from earmark.download.fetch import DownloadError, Patience, fetch

CONTENT = np.random.default_rng(1).bytes(300_000)
QUICK = Patience(attempts=3, wait=0.001)


class Server(ThreadingHTTPServer):
    """A server that gives ``content`` at any address, after the failures that ``answers`` lists, one per request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.answers, self.requests, self.ranges, self.tag = CONTENT, [], [], True, '"one"'

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/mp3.zip.001"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append(self.headers.get("Range"))
        answer = server.answers.pop(0) if server.answers else "fine"
        if isinstance(answer, int):
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start, size = 0, len(server.content)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        unchanged = self.headers.get("If-Range") in (None, server.tag)
        if asked and server.ranges and unchanged:
            start = int(asked[1])
            if start >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("ETag", server.tag)
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        body = server.content[start:]
        if answer == "drop":
            self.wfile.write(body[:100_000])
            self.wfile.flush()
            self.connection.close()
            return
        self.wfile.write(body)


@pytest.fixture
def server():
    with Server() as found:
        threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield found
        found.shutdown()


def test_a_file_arrives_with_its_checksum_and_is_not_fetched_twice(server, tmp_path):
    target = fetch(server.url, tmp_path / "mp3.zip.001", QUICK)
    assert target.read_bytes() == CONTENT
    assert (tmp_path / "SHA256SUMS").read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  mp3.zip.001\n"
    fetch(server.url, target, QUICK)
    assert server.requests == [None]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["SHA256SUMS", "mp3.zip.001"]


def test_a_dropped_connection_goes_on_where_it_was(server, tmp_path):
    server.answers = ["drop", "drop"]
    assert fetch(server.url, tmp_path / "x", QUICK).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=100000-", "bytes=200000-"]


def test_progress_earns_new_patience_but_none_ends_it_and_keeps_what_came(server, tmp_path):
    server.answers = ["drop", 500, 503, "drop", 500, 500, 500]
    with pytest.raises(DownloadError, match=r"500 .*3 tries without progress.*200000 bytes are kept"):
        fetch(server.url, tmp_path / "x", QUICK)
    assert not (tmp_path / "x").exists()
    assert fetch(server.url, tmp_path / "x", QUICK).read_bytes() == CONTENT
    assert server.requests[-1] == "bytes=200000-"


def test_a_complete_part_of_a_killed_run_is_taken(server, tmp_path):
    (tmp_path / "x.part").write_bytes(CONTENT)
    assert fetch(server.url, tmp_path / "x", QUICK).read_bytes() == CONTENT
    assert server.requests == ["bytes=300000-"]


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "x.part").write_bytes(CONTENT + b"more")
    assert fetch(server.url, tmp_path / "x", QUICK).read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.answers, server.ranges = ["drop"], False
    assert fetch(server.url, tmp_path / "x", QUICK).read_bytes() == CONTENT


def test_another_version_of_the_file_is_not_appended(server, tmp_path):
    server.answers = ["drop", 500, 500, 500]
    with pytest.raises(DownloadError):
        fetch(server.url, tmp_path / "x", QUICK)
    server.content, server.tag = CONTENT[::-1], '"two"'
    assert fetch(server.url, tmp_path / "x", QUICK).read_bytes() == CONTENT[::-1]


def test_a_wrong_file_is_refused_with_both_checksums(server, tmp_path):
    fetch(server.url, tmp_path / "x", QUICK).unlink()
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(DownloadError, match=hashlib.sha256(CONTENT).hexdigest()):
        fetch(server.url, tmp_path / "x", QUICK)
    assert not (tmp_path / "x").exists()
    (tmp_path / "x.part").rename(tmp_path / "x")  # a wrong file that was put there is refused, too
    with pytest.raises(DownloadError, match=hashlib.sha256(server.content).hexdigest()):
        fetch(server.url, tmp_path / "x", QUICK)


def test_a_wrong_address_is_not_tried_again(server, tmp_path):
    server.answers = [404]
    with pytest.raises(DownloadError, match=r"404 .*is the address right"):
        fetch(server.url, tmp_path / "x", QUICK)
    assert len(server.requests) == 1


def test_nobody_at_the_address(tmp_path):
    with pytest.raises(DownloadError, match="3 tries without progress"):
        fetch("http://127.0.0.1:9/x", tmp_path / "x", QUICK)


def test_a_disk_that_is_too_small_is_named_before_anything_is_written(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(DownloadError, match=r"300000 bytes are to come, .* has room for 1000"):
        fetch(server.url, tmp_path / "x", QUICK)
    assert not (tmp_path / "x.part").exists()


def test_an_address_that_is_none_and_a_disk_that_is_full_are_told_at_once(tmp_path, monkeypatch):
    never = Patience(attempts=9, wait=1e6)
    with pytest.raises(DownloadError, match=r"--base-url: unknown url type: 'example\.org/x'; it begins with https"):
        fetch("example.org/x", tmp_path / "x", never)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching, "_continue", full)
    with pytest.raises(DownloadError, match=r"x\.part: No space left on device; free some space .*; 0 bytes are kept"):
        fetch("https://example.org/x", tmp_path / "x", never)


@pytest.mark.parametrize("name", ["x.part", "x.part.tag"])
@pytest.mark.parametrize("stands", ["link", "pipe"])
def test_what_stands_where_bytes_arrive_is_replaced_and_never_written_through(server, tmp_path, name, stands):
    (tmp_path / "victim").write_text("precious")
    if stands == "link":
        (tmp_path / name).symlink_to(tmp_path / "victim")
    else:
        os.mkfifo(tmp_path / name)
    assert fetch(server.url, tmp_path / "x", QUICK).read_bytes() == CONTENT
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "x").is_symlink()
