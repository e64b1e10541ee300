"""Exports in this process whose archives go to a bucket, with parts so small that few bytes make many of them."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest

from batchlab.authority import Authority
from batchlab.document import JobDocument
from batchlab.records import JobRecords, submit_locally
from batchlab.settings import Settings
from batchlab.shards import Phase, Shard
from batchlab.stores.memory import MemoryStore
from batchlab_processor import engine
from batchlab_processor.jobs.zip_export import ZipExport, layout
from batchlab_processor.storage import open_storage, parts_s3
from batchlab_processor.storage import s3 as s3_scheme
from batchlab_processor.storage.patience import Patience
from batchlab_processor.testing import FastClock
from tests.strict_s3 import Reply, Request, StrictS3

PART_BYTES = 64 * 1024
WHOLE = Shard(1, 1)


@dataclass
class BucketJob:
    """An export of `urls` (by name) to `output`."""

    urls: Mapping[str, str]
    output: str  # s3://bucket/folder
    environment: Mapping[str, str]
    sources: Sequence[str] = ()
    params: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    shards: int = 1
    records: JobRecords = field(init=False)

    def __post_init__(self) -> None:
        document = {
            "type": "zip-export",
            "params": {
                "items": [
                    {"url": url, "id": name, "name": name, "takenAt": "2026-06-06T14:30:00Z"}
                    for name, url in self.urls.items()
                ],
                **self.params,
            },
            "output": self.output,
            "shards": self.shards,
            "limits": {"workers": 3, **self.limits},
        }
        self.records = submit_locally(MemoryStore(), JobDocument.model_validate(document))

    def run(self, phase: Phase = "all", shard: Shard = WHOLE) -> engine.End:
        """Runs the job or a phase of it, or goes on with it; raises ServiceError when it can be started again."""
        authority = Authority.granted(
            sources=self.sources,
            outputs=[self.output],
            allow_local=True,
            exact_target=False,
            allow_memory=True,
        )
        storage = open_storage(Settings.from_environment(dict(self.environment)), authority)
        door = engine.Door(
            storage=storage,
            authority=authority,
            clock=FastClock(),
            keep_seconds=0.01,
            waiting=None,
            phase=phase,
            shard=shard,
        )
        with patch.dict(os.environ, self.environment):  # boto3 looks there
            return engine.run(self.records, ZipExport(), door)

    def key(self, generation: int = 1, name: str = "album.zip") -> str:
        """Of an archive in its bucket."""
        folder = self.output.partition("://")[2].partition("/")[2]
        return f"{folder}/{self.records.id}/g{generation}/{name}"


def files(content: bytes) -> dict[str, bytes]:
    """What the archive's directory lists."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def small_parts(monkeypatch: pytest.MonkeyPatch, part_bytes: int = PART_BYTES) -> None:
    """Parts, and what is worth a copy, are small; nothing waits long before it is tried again."""
    monkeypatch.setattr(layout, "_fitting_part_bytes", lambda total_bytes: part_bytes)
    monkeypatch.setattr(s3_scheme, "COPYABLE_BYTES", part_bytes)
    patience = Patience(tries=8, first_seconds=0.01, longest_seconds=0.05)
    monkeypatch.setattr(parts_s3.S3PartsMaker.__init__, "__defaults__", (patience,))


@contextmanager
def watched(strict: StrictS3) -> Iterator[list[Request]]:
    """Every request that the server gets, in order."""
    answer, seen = strict.answer, []

    def noted(asked: Request) -> Reply:
        seen.append(asked)
        return answer(asked)

    strict.answer = noted  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        del strict.answer
