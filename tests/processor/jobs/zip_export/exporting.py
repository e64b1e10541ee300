"""Runs a zip-export in this process: the real engine, storage and guard, over a store in memory and a fast clock."""

from __future__ import annotations

import io
import uuid
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from batchlab.authority import Authority
from batchlab.document import load_document
from batchlab.guard import Guard
from batchlab.kinds import ItemError, Kind
from batchlab.records import JobRecords, submit_locally
from batchlab.report import Report
from batchlab.settings import Settings
from batchlab.stores import open_store
from batchlab_processor import engine
from batchlab_processor.jobs.zip_export import ZipExport
from batchlab_processor.jobs.zip_export.dates import submitted_at
from batchlab_processor.storage import open_storage
from batchlab_processor.testing import FastClock

Items = list[str | dict[str, Any]]


@dataclass(frozen=True)
class Exported:
    """What came of one job."""

    report: Report
    path: Path  # where the archive is, if any
    submitted: tuple[int, ...]  # the submission's time, as a ZIP shows it

    @property
    def state(self) -> str:
        return str(self.report.state)

    @property
    def error(self) -> str:
        return self.report.error or ""

    @property
    def failures(self) -> dict[str, str]:
        return {failure.key: str(failure.kind) for failure in self.report.failures}

    @property
    def artifacts(self) -> list[Any]:
        return list(self.report.artifacts)

    @cached_property
    def infos(self) -> list[zipfile.ZipInfo]:
        return self._opened().infolist()

    @cached_property
    def files(self) -> dict[str, bytes]:
        opened = self._opened()
        return {info.filename: opened.read(info) for info in self.infos}

    def _opened(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(self.path.read_bytes()))


class Export:
    """Call it with items and params; what it delivers comes to `directory`."""

    def __init__(self, directory: Path, host: str, sink: str) -> None:
        self.directory = directory
        self.output = directory.as_uri()
        self.sink = sink  # unless a job needs the other one
        self.settings = Settings()
        self.records: JobRecords | None = None  # of the job that was run last
        self._host = host  # of the test's web server
        self._passwords: dict[str, str] = {}

    def __call__(
        self,
        items: Items,
        *,
        overwrite: bool = False,
        passwords: dict[str, str] | None = None,
        workers: int = 5,
        attempts: int = 3,
        ahead_bytes: int = 64 * 1024 * 1024,
        **params: Any,
    ) -> Exported:
        if not {"compress", "password_ref"} & set(params):
            params = {"sink": self.sink} | params
        document = load_document(
            {
                "type": "zip-export",
                "params": {"items": items, **params},
                "output": self.output,
                "limits": {"workers": workers, "attempts": attempts, "ahead_bytes": ahead_bytes},
            }
        )
        authority = Authority(
            source_roots=("file:///",),
            output_roots=(self.output,),
            http_hosts=(self._host,),
            job_types=None,
            allow_local=True,
            overwrite=overwrite,
            exact_target=True,
            file_sources=True,
        )
        self._passwords = passwords or {}
        self.records = submit_locally(open_store(f"memory://{uuid.uuid4()}"), document, authority)
        return self.run()

    def run(self) -> Exported:
        """Runs the last job, or goes on with it."""
        records = self.records
        assert records is not None
        authority = records.grant()
        assert authority is not None
        with Guard.of(authority) as guard:
            door = engine.Door(
                storage=open_storage(self.settings, authority, guard=guard),
                authority=authority,
                clock=FastClock(start=datetime.now(UTC)),
                passwords=self._password,
            )
            end = engine.run(records, ZipExport(), door)
        assert end.report is not None, end.message
        path = self.directory / records.document().typed_params.name
        return Exported(end.report, path, _shown(submitted_at(records.id, datetime.now(UTC))))

    def _password(self, ref: str) -> str:
        try:
            return self._passwords[ref]
        except KeyError:
            raise ItemError(Kind.VALIDATION, f"There is no password {ref!r}.") from None


def _shown(moment: datetime) -> tuple[int, ...]:
    return (*moment.timetuple()[:5], moment.second // 2 * 2)
