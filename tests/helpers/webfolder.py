"""A folder on the web: listings, ranges, and whatever servers do wrong."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path


@dataclass
class WebFolder:
    """A web server of a folder: how it is to behave, and what it was asked."""

    folder: Path
    url: str = ""
    ranges: bool = True
    """Whether it sends the bytes that are asked for, or always the whole file."""
    tags: bool = True
    """Whether it names the version of a file."""
    times: bool = True
    fail: Callable[[str, str], str | None] = lambda method, path: None
    """What to do with a request: a status, ``cut`` to send less, or None to answer."""
    token: str = ""
    """What has to stand in the header Authorization, if anything."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and range of each request."""
    sent: int = 0
    """Bytes of files that were sent."""


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: object, web: WebFolder, **more: object) -> None:
        self.web = web
        super().__init__(*args, directory=str(web.folder), **more)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        asked = self.headers.get("Range", "")
        self.web.asked.append((self.command, self.path, asked))
        fault = self.web.fail(self.command, self.path)
        if fault is not None and fault.isdigit():
            return self.error(int(fault))
        if self.web.token and self.headers.get("Authorization") != self.web.token:
            return self.error(401)
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return super().do_GET() if body else super().do_HEAD()
        content = path.read_bytes()
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked)
        if found and self.web.ranges:
            first, last = int(found[1]), min(int(found[2]), len(content) - 1)
            part = content[first : last + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        else:
            part = content
            self.send_response(200)
        if fault == "cut":
            part = part[: len(part) // 2]
        if self.web.tags:
            self.send_header("ETag", f'"{path.stat().st_mtime_ns:x}-{len(content):x}"')
        if self.web.times:
            self.send_header("Last-Modified", formatdate(path.stat().st_mtime, usegmt=True))
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if body:
            self.web.sent += len(part)
            self.wfile.write(part)
        return None

    def error(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def web_folder(folder: Path) -> Iterator[WebFolder]:
    """Serve a folder."""
    web = WebFolder(folder)
    handler = functools.partial(_Handler, web=web)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        web.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()
