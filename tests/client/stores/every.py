"""Every store that exists, one at a time, for tests of what stands on them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from batchlab.settings import Settings
from batchlab.store import Store
from batchlab.stores import open_store

EVERY = ["memory", "file", "moto_s3", "seaweedfs"]


@contextmanager
def opened(kind: str, request: pytest.FixtureRequest, directory: Path) -> Iterator[Store]:
    """A new, empty store of this kind."""
    if kind == "memory":
        yield open_store(f"memory://{uuid.uuid4()}")
    elif kind == "file":
        yield open_store((directory / "store").as_uri())
    else:
        server: Any = request.getfixturevalue(kind)
        settings = Settings(
            r2_endpoint=server.endpoint_url, r2_access_key=server.access_key, r2_secret_key=server.secret_key
        )
        with server.bucket() as bucket:
            yield open_store(f"r2://{bucket}/some/prefix", settings=settings)
