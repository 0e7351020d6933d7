"""The server of the listening page, for this machine alone.

Any page that is open in the same browser can send requests to 127.0.0.1. So a request must name this server as its
host (a name that somebody else's DNS points here is refused), and what another site embeds is refused. Clips are asked
for by their numbers: no request holds a path of a file.
"""

from __future__ import annotations

import errno
import json
import re
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from earmark.errors import EarmarkError, reason
from earmark.listening import audio

HOST = "127.0.0.1"
FOLDER = Path(__file__).parent / "pages"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PIECE = 256 * 1024  # bytes that are read of a file at one time
KEPT = 64  # clips whose timelines are kept


class Site:
    """What is served: the clips, their files, their timelines, and the report.

    content: what the page shows. paths: of the clips, as in the manifest, below ``corpus``. hear: returns the timeline
    of a file; it is called for one file at a time. report: returns the page of the report.
    """

    def __init__(
        self,
        content: Mapping[str, Any],
        corpus: Path,
        hear: Callable[[Path], Mapping[str, Any]],
        report: Callable[[], str],
    ) -> None:
        self.clips = json.dumps(content).encode()
        self.experiment = str(content["experiment"])
        self.paths = [clip["file"] for clip in content["clips"]]
        self.corpus, self.report = corpus, report
        self._hear, self._hearing = hear, threading.Lock()
        self.timeline = lru_cache(KEPT)(self._timeline)

    def file(self, number: int) -> Path:
        """Return the file of a clip. Raises EarmarkError if there is no such clip, or if it is not in the corpus."""
        if number >= len(self.paths):
            raise EarmarkError(f"there is no clip {number}: there are {len(self.paths)}")
        return audio.locate(self.corpus, self.paths[number])

    def _timeline(self, number: int) -> bytes:
        file = self.file(number)
        with self._hearing:
            return json.dumps(self._hear(file)).encode()


class Server(socketserver.ThreadingMixIn, HTTPServer):
    """A server on HOST. port: 0 for any that is free.

    Raises EarmarkError if the port is in use, or if this user may not use it.
    """

    daemon_threads = True

    def __init__(self, site: Site, port: int) -> None:
        self.experiment = site.experiment
        try:
            super().__init__((HOST, port), partial(Handler, site))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise EarmarkError(
                    f"port {port} of {HOST} is in use, perhaps by another `earmark listen`; name another one with "
                    "`--port`, or 0 for any that is free"
                ) from None
            if error.errno == errno.EACCES:
                raise EarmarkError(f"port {port} is not for this user, as ports below 1024 are; see `--port`") from None
            raise

    def server_bind(self) -> None:
        """Bind, without asking the DNS what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away, which it does at every seek; show all else."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "earmark", ""
    timeout = 60  # seconds that a connection may be idle
    server: Server

    def __init__(self, site: Site, *arguments: Any) -> None:
        self.site = site
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer a request, with a text if it cannot be answered."""
        self._begun = False
        if (refused := self._refused()) is not None:
            self._say(refused, HTTPStatus.FORBIDDEN)
            return
        try:
            path = urlsplit(self.path).path
        except ValueError as error:
            self._say(f"this is no address: {error}", HTTPStatus.BAD_REQUEST)
            return
        try:
            self._answer(path)
        except EarmarkError as error:
            self._say(str(error), HTTPStatus.NOT_FOUND)
        except (ConnectionError, TimeoutError):
            raise
        except OSError as error:
            if self._begun:
                raise
            self._say(f"it cannot be read: {reason(error)}", HTTPStatus.INTERNAL_SERVER_ERROR)

    do_HEAD = do_GET  # noqa: N815 - http.server calls it

    def _refused(self) -> str | None:
        """Return why a request is not for this server, None if it is."""
        port = self.server.server_port
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0].strip().lower() not in (f"{HOST}:{port}", f"localhost:{port}"):
            return f"this server answers to {HOST}:{port} alone"
        site, mode = self.headers.get("Sec-Fetch-Site", "none"), self.headers.get("Sec-Fetch-Mode", "")
        if site not in ("none", "same-origin") and mode != "navigate":
            return "another site may not use this server"
        return None

    def _answer(self, path: str) -> None:
        numbered = re.fullmatch(r"/(audio|timeline)/([0-9]{1,9})", path)
        if numbered and numbered[1] == "audio":
            self._send_audio(self.site.file(int(numbered[2])))
        elif numbered:
            self._send(self.site.timeline(int(numbered[2])), "application/json")
        elif path == "/clips.json":
            self._send(self.site.clips, "application/json")
        elif path == "/report":
            self._send(self.site.report().encode(), "text/html", policy="frame-ancestors 'none'")  # it has its own
        elif path == "/favicon.ico":
            self._send(b"", "image/x-icon")
        elif path in PAGES:
            self._send(PAGES[path].read_bytes(), TYPES[PAGES[path].suffix])
        else:
            raise EarmarkError("there is no such page")

    def _say(self, text: str, status: HTTPStatus) -> None:
        """Answer by a text; what a name holds that is no text becomes an escape."""
        self._send(text.encode(errors="backslashreplace"), "text/plain", status)

    def _send(
        self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, policy: str = POLICY, **more: str
    ) -> None:
        kind += "; charset=utf-8" if kind.startswith("text/") else ""
        self._head(status, {"Content-Type": kind, "Content-Length": str(len(content))} | more, policy)
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: HTTPStatus, fields: Mapping[str, str], policy: str = POLICY) -> None:
        self._begun = True
        self.send_response(status)
        safe = {
            "Content-Security-Policy": policy,
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        if {"content-length", "transfer-encoding"} & {name.lower() for name in self.headers}:
            safe["Connection"] = "close"  # a body, which nobody reads, would be taken for the next request
        for name, value in (safe | dict(fields)).items():
            self.send_header(name, value)
        self.end_headers()

    def _send_audio(self, path: Path) -> None:
        """Send a file, or the part of it that is asked for: a browser seeks by asking for parts."""
        with path.open("rb") as file:
            size = path.stat().st_size
            try:
                asked = audio.byte_range(self.headers.get("Range"), size)
            except audio.RangeError:
                more = {"Content-Range": f"bytes */{size}"}
                self._send(b"", "text/plain", HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, **more)
                return
            start, end = asked or (0, size)
            fields = {"Content-Type": audio.media_type(path), "Content-Length": str(end - start)}
            fields |= {"Accept-Ranges": "bytes"}
            if asked:
                fields["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            self._head(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK, fields)
            if self.command == "HEAD":
                return
            file.seek(start)
            left = end - start
            while left > 0 and (piece := file.read(min(PIECE, left))):
                self.wfile.write(piece)
                left -= len(piece)

    def log_message(self, *arguments: Any) -> None:
        """Write nothing for a request."""


_REPORT = Path(__file__).parents[1] / "report/templates"
PAGES = {
    "/": FOLDER / "listen.html",
    "/listen.js": FOLDER / "listen.js",
    "/listen.css": FOLDER / "listen.css",
    "/style.css": _REPORT / "style.css",
}
