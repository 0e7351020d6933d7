"""MagnaTagATune is fetched, joined and unpacked, and the lines for params.yaml are shown."""

from __future__ import annotations

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from helpers.archives import FILES, packed, parts

from earmark.cli import main
from earmark.download import magnatagatune
from earmark.download.fetch import DownloadError, Patience
from earmark.download.magnatagatune import prepare
from earmark.errors import EarmarkError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Return the address of a server with all files, and their folder."""
    monkeypatch.setattr(magnatagatune, "PATIENCE", Patience(2, 0.001))
    folder = tmp_path / "mirror"
    folder.mkdir()
    parts(folder, packed())
    for name in magnatagatune.TABLES:
        (folder / name).write_text(name)
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", folder
        server.shutdown()


def test_everything_is_fetched_and_unpacked_and_a_second_run_does_nothing(mirror, tmp_path, capsys):
    url, _ = mirror
    to = tmp_path / "here"
    assert main(["corpus", "magnatagatune", "--download", "--base-url", url, "--to", str(to)]) == 0
    assert f"annotations: {to / 'annotations_final.csv'}" in capsys.readouterr().out
    for name, data in FILES.items():
        assert (to / "audio" / name).read_bytes() == data
    assert "0 files unpacked, 6 were there" in prepare(to, download=True, base_url=url)


def test_without_download_what_is_missing_is_named(mirror):
    _, folder = mirror
    (folder / "mp3.zip.002").unlink()
    with pytest.raises(EarmarkError, match=r"lacks mp3\.zip\.002; put the files there, or add --download"):
        prepare(folder, download=False)


def test_a_file_that_the_server_lacks_is_an_error_and_the_rest_stays(mirror, tmp_path):
    url, folder = mirror
    (folder / "mp3.zip.003").unlink()
    with pytest.raises(DownloadError, match=r"mp3\.zip\.003: the server answered 404"):
        prepare(tmp_path / "here", download=True, base_url=url)
    assert (tmp_path / "here/mp3.zip.002").is_file()
