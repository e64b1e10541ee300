"""Galleries in memory with small parts, whose sources and targets fail as a test wishes."""

from __future__ import annotations

import io
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from stream_unzip import stream_unzip

from batchlab.document import JobDocument
from batchlab.kinds import ItemError, Kind
from batchlab.records import submit_locally
from batchlab.stores.memory import MemoryStore
from batchlab_processor import testing
from batchlab_processor.jobs.zip_export import ZipExport, layout
from batchlab_processor.storage import parts_memory
from batchlab_processor.storage.base import WriteOptions
from batchlab_processor.storage.memory import MemoryScheme, forget
from tests.sources import photo

PART_BYTES = 4096


@dataclass
class Gallery:
    """Photos by name, a job over them, and what is to go wrong."""

    sizes: dict[str, int]
    params: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    failing: Callable[[str, int], ItemError | None] = lambda name, turn: None
    """Of the source: by the photo's name and how often it was opened, from 1."""
    killing: Callable[[str, int], bool] = lambda act, turn: False
    """By what is about to happen (begin, send, complete, completed, note) and how often it has, from 1."""
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    filled: bool = False  # the photos are there already
    opened: dict[str, int] = field(default_factory=dict)
    acts: dict[str, int] = field(default_factory=dict)
    ran: testing.Ran | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for name, size in self.sizes.items() if not self.filled else ():
            self.put(name, photo(name, size))

    def put(self, name: str, content: bytes) -> None:
        with MemoryScheme().write(f"memory://{self.name}/in/{name}", WriteOptions(overwrite=True)) as writer:
            writer.write(content)
            writer.commit()

    def remove(self, name: str) -> None:
        MemoryScheme().delete(f"memory://{self.name}/in/{name}")

    def run(self, monkeypatch: pytest.MonkeyPatch) -> testing.Ran:
        """Runs the job, or goes on with it; `end` is None when it was killed, as arranged."""
        document = {
            "type": "zip-export",
            "params": {
                "items": [
                    {"url": f"memory://{self.name}/in/{name}", "id": name, "takenAt": "2026-06-06T14:30:00Z"}
                    for name in self.sizes
                ],
                **self.params,
            },
            "output": f"memory://{self.name}/out",
            "limits": {"attempts": 2, **self.limits},
        }
        if self.ran is None:  # also when the first run raises, the second goes on with its job
            made = submit_locally(MemoryStore(), JobDocument.model_validate(document))
            self.ran = testing.Ran(ZipExport(), made)
        with self._arranged(monkeypatch):
            self.ran = testing.run_job(
                ZipExport(), document, ran=self.ran, sources=[f"memory://{self.name}/in/"]
            )
        return self.ran

    def act(self, name: str) -> None:
        with self._lock:
            turn = self.acts[name] = self.acts.get(name, 0) + 1
        if self.killing(name, turn):
            raise testing.Killed

    @contextmanager
    def _arranged(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        gallery = self
        real = MemoryScheme.open

        def opened(scheme: MemoryScheme, url: str, **options: Any) -> Any:
            name = url.rpartition("/")[2]
            if "/in/" in url:
                with gallery._lock:
                    turn = gallery.opened[name] = gallery.opened.get(name, 0) + 1
                if (error := gallery.failing(name, turn)) is not None:
                    return _cut(real(scheme, url, **options), error)
            return real(scheme, url, **options)

        def acting(method: str) -> Any:
            done = getattr(parts_memory.MemoryParts, method)

            def call(parts: Any, *arguments: Any, **named: Any) -> Any:
                gallery.act(method)
                answer = done(parts, *arguments, **named)
                gallery.act(f"{method}, done")
                return answer

            return call

        with monkeypatch.context() as patch:
            patch.setattr(layout, "_fitting_part_bytes", lambda total_bytes: PART_BYTES)
            patch.setattr(MemoryScheme, "open", opened)
            for method in ("send", "complete"):
                patch.setattr(parts_memory.MemoryParts, method, acting(method))
            yield

    @property
    def content(self) -> bytes:
        """Of the first generation's archive."""
        return self.archive("album.zip", 1)

    def archive(self, name: str, generation: int) -> bytes:
        assert self.ran is not None
        url = f"memory://{self.name}/out/{self.ran.records.id}/g{generation}/{name}"
        with MemoryScheme().open(url) as reader:
            return reader.read()

    def delete(self, name: str, generation: int) -> None:
        assert self.ran is not None
        MemoryScheme().delete(f"memory://{self.name}/out/{self.ran.records.id}/g{generation}/{name}")

    def files(self, name: str, generation: int = 1) -> dict[str, bytes]:
        """All that the directory of an archive lists."""
        with zipfile.ZipFile(io.BytesIO(self.archive(name, generation))) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}

    def listed(self, generation: int = 1) -> dict[str, bytes]:
        """The photos that the directory lists."""
        found = self.files("album.zip", generation)
        found.pop("_missing.csv", None)
        found.pop("_missing.txt", None)  # at byte 0, when the first photo is lost
        return found

    def streamed(self, generation: int = 1) -> dict[str, bytes]:
        """What a reader of the stream finds, fillers among it."""
        content = self.archive("album.zip", generation)
        return {name.decode(): b"".join(chunks) for name, _, chunks in stream_unzip([content])}

    def unfinished(self) -> list[str]:
        """The uploads that nobody completed or aborted."""
        mine = f"memory://{self.name}/"
        return [upload for upload, url in parts_memory.unfinished().items() if url.startswith(mine)]

    def forget(self) -> None:
        forget(self.name)


@contextmanager
def _cut(reading: Any, error: ItemError) -> Iterator[Any]:
    """Half of the bytes asked for come, then the error."""
    with reading as reader:
        left = (reader.size_bytes or 0) // 2
        readinto = reader.readinto

        def cut(buffer: memoryview) -> int:
            nonlocal left
            if left == 0:
                raise error
            count: int = readinto(buffer[:left])
            left -= count
            return count

        reader.readinto = cut
        yield reader


def fails(kind: Kind) -> ItemError:
    return ItemError(kind, f"as arranged: {kind}")
