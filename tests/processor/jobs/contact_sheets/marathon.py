"""A photo marathon in a real Postgres, its photos in a directory, and the job that makes its sheets in this process."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from batchlab.authority import Authority
from batchlab.document import load_document
from batchlab.named import NamedEntries
from batchlab.records import JobRecords, submit_locally
from batchlab.report import Report
from batchlab.settings import Settings
from batchlab.stores import open_store
from batchlab_processor import engine
from batchlab_processor.jobs.contact_sheets import ContactSheets
from batchlab_processor.jobs.contact_sheets.database import ours
from batchlab_processor.storage import open_storage
from batchlab_processor.testing import FastClock

GALLERY = Path(__file__).parents[4] / "examples" / "gallery"
TINY: dict[str, Any] = {"paper": {"width_mm": 80, "height_mm": 60}, "dpi": 72, "margin_mm": 1, "gap_mm": 1}
TINY |= {"title": "", "caption": "", "sponsors": {"position": "none"}}


@dataclass
class Marathon:
    """One domain of the default tables."""

    url: str  # of the database
    photos: Path  # the directory that keys are below
    domain: str = "spring"

    def create(self, name: str = "Spring marathon", topics: int = 24) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(ours("schema"))  # type: ignore[arg-type]
            connection.execute("INSERT INTO marathons (domain, name) VALUES (%s, %s)", (self.domain, name))
            connection.execute(
                "INSERT INTO topics (marathon_id, position, name) "
                "SELECT 1, n, 'Topic ' || n FROM generate_series(1, %s) AS n",
                (topics,),
            )

    def add(self, reference: str, photos: int, *, firstname: str = "Ana", verified: bool = True) -> None:
        """A participant with their photos, in the database and in the directory."""
        keys = [f"{reference}/{number:02}.jpg" for number in range(1, photos + 1)]
        gallery = sorted(GALLERY.glob("*.jpg"))
        (self.photos / reference).mkdir(parents=True, exist_ok=True)
        for number, key in enumerate(keys):
            (self.photos / key).write_bytes(gallery[number % len(gallery)].read_bytes())
        self.insert(reference, keys, firstname=firstname, verified=verified)

    def insert(
        self, reference: str, keys: list[str], *, firstname: str = "Ana", verified: bool = True
    ) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "INSERT INTO participants (marathon_id, reference, firstname, lastname, verified) "
                "VALUES (1, %s, %s, 'Nowak', %s)",
                (reference, firstname, verified),
            )
            connection.execute(
                "INSERT INTO submissions (participant_id, topic_id, key) "
                "SELECT currval(pg_get_serial_sequence('participants', 'id')), "
                "(SELECT id FROM topics WHERE position = n), key "
                "FROM unnest(%s::text[]) WITH ORDINALITY AS k(key, n)",
                (keys,),
            )

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def rows(self) -> dict[str, tuple[str | None, int | None]]:
        """What the rows say of the sheets, by reference."""
        with psycopg.connect(self.url) as connection:
            found = connection.execute(
                "SELECT reference, contact_sheet_key, contact_sheet_pages FROM participants ORDER BY reference"
            )
            return {reference: (key, pages) for reference, key, pages in found}


@dataclass
class Sheets:
    """Call it with params; sheets come to `directory`."""

    directory: Path
    sources: list[str]
    entries: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    records: JobRecords | None = None  # of the job that was run last
    overwrite: bool = False
    output: str = ""  # a URL in place of the directory
    settings: Settings = field(default_factory=Settings)
    clock: FastClock = field(default_factory=FastClock)

    def __call__(
        self, *, attempts: int = 3, workers: int = 2, deadline: str | None = None, **params: Any
    ) -> Report:
        document = load_document(
            {
                "type": "contact-sheets",
                "params": {**TINY, **params},
                "output": self.output or self.directory.as_uri(),
                "limits": {
                    "attempts": attempts,
                    "workers": workers,
                    **({"deadline": deadline} if deadline else {}),
                },
            }
        )
        self.records = submit_locally(open_store(f"memory://{uuid.uuid4()}"), document)
        return self.run()

    def run(self) -> Report:
        """Runs the last job, or goes on with it."""
        report = engine.run(self._records(), ContactSheets(), self.door()).report
        assert report is not None
        return report

    def retry(self) -> Report:
        self._records().start_retry()
        return self.run()

    def preview(self, **params: Any) -> list[str]:
        document = load_document(
            {
                "type": "contact-sheets",
                "params": {**TINY, **params},
                "output": self.output or self.directory.as_uri(),
            }
        )
        records = submit_locally(open_store(f"memory://{uuid.uuid4()}"), document)
        return list(engine.preview(records, ContactSheets(), self.door()))

    def door(self) -> engine.Door:
        authority = Authority.granted(
            sources=self.sources,
            outputs=[self.output or self.directory.as_uri()],
            allow_local=True,
            overwrite=self.overwrite,
            exact_target=True,
        )
        return engine.Door(
            storage=open_storage(self.settings, authority),
            authority=authority,
            clock=self.clock,
            entries=NamedEntries(self.entries).entry,
        )

    def made(self) -> list[str]:
        """The files that are there."""
        found = (path.relative_to(self.directory) for path in self.directory.rglob("*") if path.is_file())
        return sorted(str(path) for path in found)

    def _records(self) -> JobRecords:
        assert self.records is not None
        return self.records
