"""The web server behind `batchlab demo`: a gallery on 127.0.0.1 that has lost one photo and refuses another twice.

`batchlab-processor demo` serves until its standard input is closed. Its first line on stdout says, as JSON, what
it serves; nothing else is ever written there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from batchlab.errors import UsageError

MISSING = "013-group-photo.jpg"  # never in the folder
REFUSALS = 2  # of the flaky photo; the third attempt is the last that a job makes by default
LATENCY_SECONDS = 0.2  # what a server in another town takes, so that there is something to watch
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{1,15})?$")


@dataclass(frozen=True)
class Served:
    """What the first line says."""

    url: str  # of the server, without a trailing slash
    folder: str  # where the photos are
    photos: tuple[str, ...]  # names in order, the missing one among them
    missing: str
    flaky: str


def find_gallery(package: Path = Path(__file__).parent) -> Path:
    """examples/gallery of the checkout that this package is part of; raises UsageError that says where it looked."""
    folder = package.parents[1] / "examples" / "gallery"
    if not any(folder.glob("*.jpg")):
        raise UsageError(
            f"The demo's photos are not at {folder}: they are in the repository, not in the installed package. "
            "Run scripts/demo in a clone, or give your own photos: batchlab demo DIRECTORY"
        )
    return folder


def find_photos(folder: Path) -> Path:
    """`folder`, absolute; raises UsageError when there is no photo in it."""
    if not any(folder.glob("*.jpg")):
        raise UsageError(f"{folder}: there is no .jpg file in it.")
    return folder.absolute()


@contextlib.contextmanager
def serving(folder: Path, *, latency_seconds: float = LATENCY_SECONDS) -> Iterator[Served]:
    """Inside, the photos of `folder` are served on a free port of 127.0.0.1; afterwards no thread is left."""
    photos = sorted(path.name for path in folder.glob("*.jpg"))
    flaky = photos[len(photos) // 3]
    server = _Server(folder, photos, flaky, latency_seconds)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="gallery")
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        yield Served(url, str(folder), (*photos, MISSING), MISSING, flaky)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main(arguments: Sequence[str] = ()) -> int:
    """Serves the gallery, or the photos of a folder, until standard input is closed; returns the exit code."""
    if sys.stdin.isatty():
        raise UsageError("this is only the web server of the demo. Type: batchlab demo")
    folder = find_photos(Path(arguments[0])) if arguments else find_gallery()
    with serving(folder) as served:
        sys.stdout.write(json.dumps(asdict(served)) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    return 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path, photos: Sequence[str], flaky: str, latency_seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.photos = frozenset(photos)
        self.flaky = flaky
        self.latency_seconds = latency_seconds
        self._refused = 0
        self._lock = threading.Lock()

    def refuses(self, name: str) -> bool:
        """Whether this request for a whole photo is one of those that the demo refuses."""
        with self._lock:
            if name != self.flaky or self._refused >= REFUSALS:
                return False
            self._refused += 1
            return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        time.sleep(self.server.latency_seconds)
        name = unquote(urlsplit(self.path).path.removeprefix("/"))
        if name not in self.server.photos:  # names from the list only, so no path leads out of the folder
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        span = _RANGE.match(self.headers.get("Range", ""))
        if span is None and self.server.refuses(name):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._send(self.server.folder / name, span)

    def _send(self, path: Path, span: re.Match[str] | None) -> None:
        content = path.read_bytes()
        start, end = 0, len(content)
        if span is not None:
            start, end = int(span[1]), min(int(span[2] or end) + 1, len(content))
        if start >= end:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            return
        self.send_response(HTTPStatus.OK if span is None else HTTPStatus.PARTIAL_CONTENT)
        if span is not None:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()[:32]}"')
        self.send_header("Last-Modified", formatdate(path.stat().st_mtime, usegmt=True))
        self.end_headers()
        self.wfile.write(content[start:end])

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name http.server uses
        """Says nothing: the progress of the job is what is to be seen."""
