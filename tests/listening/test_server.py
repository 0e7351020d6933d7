"""The listening page's server: whom it answers, what it gives away, and the page itself in Chromium."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import ROOT, browser
from helpers.results import EVIL, HOSTILE

from earmark.cli import main
from earmark.errors import EarmarkError
from earmark.evaluation.mistakes import Judged
from earmark.listening.clips import content
from earmark.listening.server import HOST, Server, Site

NAME = f"1/{HOSTILE.replace('/', '')}.wav"  # a file may be called so
FILES = ["0/a.wav", NAME, "2/c.wav", "../secret.wav", "linked.wav", "3/gone.wav"]


def judged(files: list[str] = FILES) -> Judged:
    """Of six clips the second has the worst mistake: the tagger is sure of piano, and it lacks it."""
    scores = np.array([[0.9, 0.1], [0.99, 0.6], [0.2, 0.4], [0.5, 0.5], [0.4, 0.5], [0.1, 0.45]])
    targets = np.array([[1, 0], [0, 1], [1, 0], [1, 1], [0, 1], [0, 0]], np.uint8)
    return Judged(files, files, files, ["piano", HOSTILE], scores, targets, np.array([0.5, 0.5]))


def heard(path: Path) -> dict:
    if path.name == "c.wav":
        raise EarmarkError("c.wav cannot be heard: <b>it</b> is silent")
    return {"seconds": 4, "peaks": [0.1, 0.9] * 50, "edges": [0, 1, 4], "scores": [[0.2, 0.9], [0.1, 0.6]]}


@contextmanager
def served(corpus: Path, **more):
    clips = content(more.get("experiment", "net"), more.get("judged", judged()))
    site = Site(clips, corpus, more.get("hear", heard), lambda: "<!doctype html><p>the report</p>")
    with Server(site, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("listening")
    wave = 0.1 * np.sin(np.linspace(0, 8000, 4 * 8000))
    for name in FILES[:3]:
        file = root / "corpus" / name
        file.parent.mkdir(parents=True)
        soundfile.write(file, wave, 8000)
    soundfile.write(root / "secret.wav", wave, 8000)
    (root / "corpus/linked.wav").symlink_to(root / "secret.wav")
    return root / "corpus"


@pytest.fixture(scope="module")
def server(corpus):
    with served(corpus) as started:
        yield started


def ask(server: Server, path: str, method: str = "GET", **fields: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
    try:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_the_page_and_its_parts_are_served(server):
    for path, kind in (("/", "html"), ("/listen.js", "javascript"), ("/listen.css", "css"), ("/style.css", "css")):
        status, fields, body = ask(server, path)
        assert (status, len(body) > 500) == (200, True)
        assert kind in fields["Content-Type"]
        assert "default-src 'none'" in fields["Content-Security-Policy"]
        assert fields["X-Content-Type-Options"] == "nosniff"
        assert b"http://" not in body.replace(b"http://www.w3.org/2000/svg", b"")
        assert b"https://" not in body
    assert b"the report" in ask(server, "/report?x=1")[2]
    assert len(json.loads(ask(server, "/clips.json")[2])["clips"]) == 6


def test_it_listens_on_this_machine_alone(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.address.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", "", "[::1]"])
def test_a_host_that_is_another_name_is_refused(server, host):
    """DNS rebinding: a page of evil.example, whose name now points here, would read what it gets."""
    for path in ("/", "/clips.json", "/audio/0"):
        status, _, body = ask(server, path, Host=host)
        assert status == 403
        assert b"clips" not in body


def test_a_host_that_is_named_twice_or_not_at_all_is_refused(server):
    good = f"Host: {HOST}:{server.server_port}\r\n"
    for fields in ("", good + "Host: evil.example\r\n"):
        with socket.create_connection((HOST, server.server_port), timeout=10) as raw:
            raw.sendall(f"GET /clips.json HTTP/1.1\r\n{fields}Connection: close\r\n\r\n".encode())
            assert raw.makefile("rb").readline().split()[1] == b"403"


def test_localhost_is_this_machine_too(server):
    assert ask(server, "/", Host=f"LOCALHOST:{server.server_port}")[0] == 200


def test_what_another_site_embeds_is_refused_and_a_link_is_followed(server):
    assert ask(server, "/audio/0", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    assert ask(server, "/clips.json", Sec_Fetch_Site="same-site", Sec_Fetch_Mode="cors")[0] == 403
    assert ask(server, "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200
    assert ask(server, "/audio/0", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="no-cors")[0] == 200
    assert ask(server, "/audio/0")[1]["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_clip_is_sent_whole_and_in_parts(server, corpus):
    whole = (corpus / FILES[0]).read_bytes()
    status, fields, body = ask(server, "/audio/0")
    assert (status, body) == (200, whole)
    assert fields["Accept-Ranges"] == "bytes"
    assert fields["Content-Type"] == "audio/wav"
    status, fields, body = ask(server, "/audio/0", Range="bytes=100-199")
    assert (status, body) == (206, whole[100:200])
    assert fields["Content-Range"] == f"bytes 100-199/{len(whole)}"
    assert ask(server, "/audio/0", Range="bytes=-50")[2] == whole[-50:]
    status, fields, body = ask(server, "/audio/0", Range=f"bytes={len(whole)}-")
    assert (status, body) == (416, b"")
    assert fields["Content-Range"] == f"bytes */{len(whole)}"
    status, fields, body = ask(server, "/audio/0", "HEAD", Range="bytes=0-9")
    assert (status, fields["Content-Length"], body) == (206, "10", b"")


@pytest.mark.parametrize(
    "ranges",
    ["bytes=" + ",".join(["0-"] * 1_300), "bytes=0-99999999999999999", "bytes=0-,0-", "bytes=9-1", "lines=1-2"],
)
def test_many_or_odd_ranges_cost_no_more_than_the_file(server, corpus, ranges):
    status, _, body = ask(server, "/audio/0", Range=ranges)
    assert status in (200, 206)
    assert body == (corpus / FILES[0]).read_bytes()


def test_a_request_without_end_is_refused(server):
    assert ask(server, "/audio/" + "9" * 70_000)[0] == 414
    assert ask(server, "/", Range="bytes=" + "0-," * 30_000)[0] == 431


def test_clips_whose_files_lie_elsewhere_are_not_sent(server):
    for number, why in ((3, b"leads out of"), (4, b"leads out of"), (5, b"is not in"), (99, b"there is no clip 99")):
        for kind in ("audio", "timeline"):
            status, _, body = ask(server, f"/{kind}/{number}")
            assert status == 404
            assert why in body


@pytest.mark.parametrize(
    "path",
    [
        "/audio/../../secret.wav", "/audio/%2e%2e%2fsecret.wav", "/../secret.wav", "/audio/0/../../x", "/audio/-1",
        "/audio/0x1", "/audio/1e3", "/audio/", "/audio", "//etc/passwd", "/etc/passwd", "/pages/listen.html",
        "/audio/%252e%252e%252fsecret.wav", "/audio/0%2f..%2f..%2fsecret.wav", "/%2e%2e/secret.wav",
        "/audio/linked.wav",
        "/audio//etc/passwd", "/audio/file:///etc/passwd", "/audio/%5c..%5csecret.wav",
        "/audio/%D9%A3", "/audio/0%00", "/listen.py", "/server.py", "/audio/" + "9" * 400,
    ],
)  # fmt: skip
def test_no_path_leads_to_a_file(server, path):
    status, _, body = ask(server, path)
    assert status == 404
    assert body == b"there is no such page"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(server, method):
    assert ask(server, "/", method)[0] == 501


def test_a_timeline_is_made_once(corpus):
    asked = []

    def hear(path: Path) -> dict:
        asked.append(path.name)
        return heard(path)

    with served(corpus, hear=hear) as server:
        assert json.loads(ask(server, "/timeline/0")[2])["seconds"] == 4
        ask(server, "/timeline/0")
        status, fields, body = ask(server, "/timeline/2")
    assert asked == ["a.wav", "c.wav"]
    assert (status, body) == (404, b"c.wav cannot be heard: <b>it</b> is silent")
    assert fields["Content-Type"].startswith("text/plain")


def test_a_clip_that_the_disk_refuses_is_answered_with_the_reason(corpus, capfd):
    def hear(_: Path) -> dict:
        raise OSError(errno.EIO, "Input/output error")

    with served(corpus, hear=hear) as server:
        status, fields, body = ask(server, "/timeline/0")
    assert (status, fields["Content-Type"]) == (500, "text/plain; charset=utf-8")
    assert body.startswith(b"it cannot be read: Input/output error; the disk")
    assert not capfd.readouterr().err


def test_a_name_that_is_no_text_is_told_by_escapes(corpus):
    with served(corpus, judged=judged([*FILES[:5], "bad\udcff.wav"])) as server:
        status, _, body = ask(server, "/audio/5")
    assert status == 404
    assert rb"bad\udcff.wav is not in" in body


def test_what_is_no_address_is_refused(server):
    host = f"Host: {HOST}:{server.server_port}\r\n"
    with socket.create_connection((HOST, server.server_port), timeout=10) as raw:
        raw.sendall(f"GET http://[::1/audio/0 HTTP/1.1\r\n{host}Connection: close\r\n\r\n".encode())
        answer = raw.makefile("rb").read()
    assert answer.split()[1] == b"400"
    assert answer.endswith(b"this is no address: Invalid IPv6 URL")


@pytest.mark.parametrize("fields", ["Content-Length: 70", "transfer-encoding: chunked"])
def test_the_body_of_a_request_is_not_taken_for_the_next_one(server, fields):
    host = f"Host: {HOST}:{server.server_port}\r\n"
    with socket.create_connection((HOST, server.server_port), timeout=10) as raw:
        raw.sendall(f"GET /favicon.ico HTTP/1.1\r\n{host}{fields}\r\n\r\n".encode())
        assert raw.makefile("rb").read().count(b"HTTP/1.1 ") == 1  # and then the end


def test_a_port_that_is_in_use_is_said(server, corpus):
    site = Site(content("net", judged()), corpus, heard, str)
    with pytest.raises(EarmarkError, match=rf"port {server.server_port} of 127\.0\.0\.1 is in use.*--port"):
        Server(site, server.server_port)


def test_a_browser_that_goes_away_leaves_no_traceback(server, capfd):
    for _ in range(3):
        with socket.create_connection((HOST, server.server_port), timeout=10) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset at once
            raw.sendall(f"GET /audio/0 HTTP/1.1\r\nHost: {HOST}:{server.server_port}\r\n\r\n".encode())
    assert ask(server, "/")[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def test_the_command_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    for words, said in (
        (("liner",), "close to linear"),
        (("linear",), "run `dvc repro evaluate@linear`"),
    ):
        with pytest.raises(SystemExit):
            main(["listen", *words])
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["listen", "--port", "70000"])
    assert "must be from 0 to 65535" in capsys.readouterr().err


# --- in a browser


@pytest.fixture(scope="module")
def chrome():
    with browser.chromium() as started:
        yield started


def names(page) -> list[str]:
    return page.locator(".clip .name").all_inner_texts()


def test_clips_are_sorted_by_error_and_filtered(chrome, server):
    with browser.page(chrome) as page:
        page.goto(server.address)
        page.wait_for_selector(".clip")
        assert page.locator("#experiment").inner_text() == "net"
        assert names(page)[0] == NAME  # and nothing of it ran
        assert page.locator("#clips img").count() == 0
        page.locator("#tag").select_option(label=HOSTILE)
        assert page.locator("#told").inner_text() == "3 of 6 clips"
        page.locator("#show").select_option("missed")
        assert names(page) == []
        page.locator("#tag").select_option(label="piano")
        assert names(page) == ["2/c.wav"]
        page.locator("#show").select_option("extra")
        assert names(page) == [NAME]
        page.locator("#show").select_option("any")
        page.locator("#tag").select_option(label="all tags")
        page.locator("#sort").select_option("name")
        assert names(page) == sorted(FILES, key=str.lower)
        page.get_by_label("Name holds").fill("GONE")
        assert names(page) == ["3/gone.wav"]


def test_a_clip_is_played_by_the_keyboard_and_its_tags_are_shown_over_time(chrome, server):
    with browser.page(chrome, reduced_motion="reduce") as page:
        page.goto(server.address)
        page.wait_for_selector(".clip")
        page.keyboard.press("/")
        page.keyboard.type("a.wav")
        page.keyboard.press("Tab")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_selector(".wave[aria-valuenow]:not([aria-valuenow='0']):not([aria-valuenow='0.0'])")  # it plays
        said = page.locator(".strip svg").first.get_attribute("aria-label")
        assert said == "piano: at or above its threshold in 1 of 2 parts, highest 0.9 at 0:01"
        page.keyboard.press("Space")
        assert page.evaluate("document.querySelector('audio').paused")
        page.locator(".wave").focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        assert page.locator(".wave").get_attribute("aria-valuenow") == "4.0"
        page.keyboard.press("ArrowLeft")
        assert page.locator(".wave").get_attribute("aria-valuetext") == "0:00 of 0:04"
        page.keyboard.press("Space")
        assert not page.evaluate("document.querySelector('audio').paused")


@pytest.mark.parametrize("evil", EVIL)
def test_no_name_of_an_experiment_a_tag_or_a_file_becomes_an_element_or_runs(chrome, tmp_path, evil):
    """Nor the reason why a clip cannot be heard, which may hold any of them."""

    def refuse(_: Path) -> dict:
        raise EarmarkError(evil)

    inputs = [np.array([[0.9]]), np.array([[0]], np.uint8), np.array([0.5])]
    elements = []
    for text in ("plain", evil):
        for hear in (lambda _: {"seconds": 4, "peaks": [0.1], "edges": [0, 4], "scores": [[0.9]]}, refuse):
            name = text.replace("/", "") + ".wav"
            soundfile.write(tmp_path / name, np.zeros(8000), 8000)
            found = Judged([text], [text], [name], [text], *inputs)
            with served(tmp_path, experiment=text, judged=found, hear=hear) as server, browser.page(chrome) as page:
                page.goto(server.address)
                page.locator("#tag").select_option(index=1)
                page.locator(".head").click()
                page.wait_for_selector(".trouble:visible" if hear is refuse else ".strip")
                assert page.title() == f"earmark listen: {text}"
                assert page.locator("#experiment").text_content() == text
                assert page.locator(".clip .name").first.text_content() == name
                assert page.locator(".clip .tag").get_attribute("title").startswith(text)
                elements.append(page.evaluate("[...document.querySelectorAll('*')].map((one) => one.tagName).sort()"))
                attributes = "[...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())"
                assert not [name for name in page.evaluate(attributes) if name.startswith("on")]
                if hear is refuse:
                    page.said.clear()  # Chromium itself reports the 404
    assert elements[2:] == elements[:2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_a_clip_without_scrolling_sideways(chrome, server, scheme):
    with browser.page(chrome, viewport=browser.PHONE, color_scheme=scheme) as page:
        page.goto(server.address)
        page.locator(".head").first.click()
        page.wait_for_selector(".strip")
        assert page.evaluate("document.documentElement.scrollWidth") == browser.PHONE["width"]
        assert page.locator(".clip.open .head").get_attribute("aria-expanded") == "true"
        page.locator(".head", has_text="0/a.wav").click()
        assert page.locator("audio").count() == 1  # one at a time


def test_a_clip_that_cannot_be_heard_says_why_in_words(chrome, server):
    with browser.page(chrome) as page:
        page.goto(server.address)
        page.get_by_label("Name holds").fill("c.wav")
        page.locator(".head").first.click()
        page.wait_for_selector(".trouble:visible")
        assert "<b>it</b> is silent" in page.locator(".trouble").inner_text()
        page.said.clear()  # Chromium itself reports the 404
