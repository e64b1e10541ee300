"""What the argument of `batchlab-processor run` may be."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from batchlab.errors import DocumentError
from batchlab.reading import LARGEST_BYTES
from batchlab.settings import Settings
from batchlab.stores.memory import MemoryStore
from batchlab_processor.entrypoint import Call, accept


def test_a_document_of_any_length_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    with path.open("wb") as file:
        file.truncate(LARGEST_BYTES * 1000)
    with pytest.raises(DocumentError, match=f"at most {LARGEST_BYTES:,} are read"):
        accept(Call(job=str(path), settings=Settings()), MemoryStore())


def test_a_document_may_be_compressed_and_still_is_no_longer_than_any_other(tmp_path: Path) -> None:
    path = tmp_path / "job.json.gz"
    path.write_bytes(gzip.compress(b'{"type": "self-test", "title": "Packed"}'))
    call = Call(job=path.as_uri(), settings=Settings(job_types=("self-test",)))
    assert accept(call, MemoryStore())[0].document().title == "Packed"
    path.write_bytes(gzip.compress(b" " * (LARGEST_BYTES + 1)))
    with pytest.raises(DocumentError, match=f"more than {LARGEST_BYTES:,} bytes"):
        accept(call, MemoryStore())
