"""What the argument of `batchlab-processor run` may be."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import BaseModel, ConfigDict

from batchlab.errors import DocumentError
from batchlab.reading import LARGEST_BYTES
from batchlab.settings import Settings
from batchlab.stores import open_store
from batchlab.stores.memory import MemoryStore
from batchlab_processor.entrypoint import Call, accept, run


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


class Strict(BaseModel):
    """The params of a type whose package knows a field that the document does not have."""

    model_config = ConfigDict(extra="forbid")
    network: bool


def test_params_that_the_installed_type_does_not_accept_are_said_field_by_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(store=f"file://{tmp_path}/store", job_types=("stranger",))
    job_id = "01m82z2746kh8t1vwtfytf7h25"
    body = {"version": 1, "id": job_id, "type": "stranger", "params": {"netwrok": True}}
    open_store(settings.store).create(f"jobs/{job_id}/job.json", body)
    monkeypatch.setattr("batchlab_processor.registry.job_type", lambda name: SimpleNamespace(params=Strict))
    with pytest.raises(DocumentError) as refused:
        run(Call(job=f"{settings.store}/jobs/{job_id}", settings=settings, quiet=True))
    assert any("netwrok" in line and "Did you mean network?" in line for line in refused.value.problems)
