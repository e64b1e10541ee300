"""What telling a database of many sheets costs when it is 10 ms away, and how many connections a whole job makes.

    scripts/bench updates                     10,000 and 100,000 rows, and a job of 1,000 sheets
    scripts/bench updates --sheets 0          the rows alone

The way to the database is a proxy that holds every piece back for half of the round trip, in each direction.
"""

from __future__ import annotations

import argparse
import queue
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import conninfo

from batchlab_processor.databases import Database
from batchlab_processor.jobs.contact_sheets.database import statements
from batchlab_processor.jobs.contact_sheets.updates import Update, run_update
from batchlab_processor.postgres import postgres
from tests.processor.jobs.contact_sheets.marathon import GALLERY, Marathon, Sheets

ROUND_TRIP_SECONDS = 0.010
SHEETS = 1000
ROWS = (10_000, 100_000)  # by arrays, and by COPY


class Delaying:
    """A proxy before a Unix socket; `connections` counts those it took."""

    def __init__(self, target: str) -> None:
        self.connections = 0
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                for source, sink in ((client, server), (server, client)):
                    self._pass_on(source, sink)

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        pieces: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

        def read() -> None:
            piece = b"-"
            while piece:
                try:
                    piece = source.recv(65536)
                except OSError:
                    piece = b""
                pieces.put((time.monotonic() + ROUND_TRIP_SECONDS / 2, piece))

        def write() -> None:
            with suppress(OSError):
                while True:
                    due, piece = pieces.get()
                    time.sleep(max(0.0, due - time.monotonic()))
                    if not piece:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(piece)

        for body in (read, write):
            threading.Thread(target=body, daemon=True).start()


@contextmanager
def far_away(url: str) -> Iterator[tuple[Delaying, str]]:
    """The proxy before this database, and the URL through it."""
    parts = conninfo.conninfo_to_dict(url)
    proxy = Delaying(f"{parts['host']}/.s.PGSQL.5432")
    try:
        # sslmode: libpq would first ask for TLS, which costs a round trip that belongs to no update
        yield proxy, conninfo.make_conninfo(url, host="127.0.0.1", port=str(proxy.port), sslmode="disable")
    finally:
        proxy.close()


def rows_per_second(marathon: Marathon, database: Database, count: int) -> float:
    """Tells `count` rows once, connecting and committing included."""
    marathon.execute("TRUNCATE participants CASCADE")
    marathon.execute(
        f"INSERT INTO participants (marathon_id, reference) SELECT 1, n FROM generate_series(1, {count}) AS n"
    )
    with psycopg.connect(marathon.url) as connection:
        ids = [str(row[0]) for row in connection.execute("SELECT id FROM participants")]
    made = [Update(row, row, f"spring/{row}/contact-sheet.jpg", 1, datetime.now(UTC)) for row in ids]
    begin = time.perf_counter()
    assert len(run_update(made, database, statements(lambda *_: None, None))) == count
    return count / (time.perf_counter() - begin)


def connections_of_a_job(marathon: Marathon, proxy: Delaying, url: str, folder: Path, sheets: int) -> int:
    """Makes so many sheets, and says how many connections the database saw."""
    marathon.execute("TRUNCATE participants CASCADE")
    keys = []
    for photo in sorted(GALLERY.glob("*.jpg"))[:8]:
        keys.append(photo.name)
        (marathon.photos / photo.name).write_bytes(photo.read_bytes())
    for number in range(sheets):
        marathon.insert(str(number), keys)
    before = proxy.connections
    job = Sheets(folder / "out", [f"{marathon.photos.as_uri()}/"], {"databases": {"race": url}})
    report = job(domain=marathon.domain, database="race", photos=marathon.photos.as_uri())
    assert report.facts["database_updates"] == {"succeeded": sheets, "failed": 0}, report.facts["errors"]
    return proxy.connections - before


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sheets", type=int, default=SHEETS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, postgres() as url, far_away(url) as (proxy, far):
        marathon = Marathon(url, Path(folder, "uploads"))
        marathon.photos.mkdir()
        marathon.create()
        database = Database("race", far)
        for count in ROWS:
            rates = sorted(rows_per_second(marathon, database, count) for _ in range(3))
            print(f"{count:>7,} rows: {rates[1]:>7,.0f} rows/s (slowest {rates[0]:,.0f})", flush=True)
        if options.sheets:
            begin = time.perf_counter()
            seen = connections_of_a_job(marathon, proxy, far, Path(folder), options.sheets)
            print(f"{options.sheets:>7,} sheets: {seen} connections ({time.perf_counter() - begin:.0f} s)")


if __name__ == "__main__":
    main()
