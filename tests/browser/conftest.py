"""Customers' pages on a real socket, and Debian's Chromium to open them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from batchlab.page import publish, token
from batchlab.page.pages import MemoryPages
from batchlab.records import JobRecords
from batchlab.service.public import PublicRequest, answer
from batchlab.settings import Settings
from batchlab.stores.memory import MemoryStore

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SETTINGS = Settings(store="memory://pages", contact="photos@example.com")


@dataclass
class Site:
    """A store of jobs and their pages, served."""

    address: str = ""
    store: MemoryStore = field(default_factory=lambda: MemoryStore("pages"))
    pages: MemoryPages = field(default_factory=MemoryPages)
    later: timedelta = timedelta(0)  # how far the clock of whoever serves is ahead
    asked: list[str] = field(default_factory=list)  # every path, as it came

    def publish(self, records: JobRecords) -> str:
        """The page's address; the page shows the job as it is now."""
        publish(records, self.pages, SETTINGS)
        return f"{self.address}/s/{token(records)}"


@pytest.fixture
def site() -> Iterator[Site]:
    """A site of this test's own."""
    made = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.asked.append(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = PublicRequest(self.command, self.path, headers)
            said = answer(request, made.pages, SETTINGS, made.store.now() + made.later)
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body if isinstance(said.body, bytes) else b"".join(said.body))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    made.address = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium, started once. Skips where it is not installed: apt-get install chromium."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Chromium is not installed here")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
