"""A registry of images with one image in it, at an address of this machine alone."""

from __future__ import annotations

import hashlib
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


@contextmanager
def registry(saved: Path, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve what ``docker save`` wrote; yield the reference of the image and a list of what was asked for."""
    blobs, manifest = _unpack(saved, folder)
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            name = self.path.rpartition("/")[2]
            if self.path == "/v2/":
                self.answer("application/json", b"{}")
            elif "/manifests/" in self.path:
                self.answer(_MANIFEST, manifest)
            elif name in blobs:
                self.answer("application/octet-stream", blobs[name].read_bytes())
            else:
                self.send_error(404)

        do_HEAD = do_GET

        def answer(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}/debian:bookworm-slim", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _unpack(saved: Path, folder: Path) -> tuple[dict[str, Path], bytes]:
    with tarfile.open(saved) as tar:
        tar.extractall(folder, filter="data")
    listed = json.loads((folder / "manifest.json").read_text())[0]
    blobs: dict[str, Path] = {}

    def blob(name: str, kind: str) -> dict[str, object]:
        path = folder / name
        with path.open("rb") as file:
            digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        blobs[digest] = path
        return {"mediaType": kind, "size": path.stat().st_size, "digest": digest}

    described = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": blob(listed["Config"], _CONFIG),
        "layers": [blob(name, _LAYER) for name in listed["Layers"]],
    }
    return blobs, json.dumps(described).encode()
