from __future__ import annotations

from pathlib import Path

import pytest

from batchlab.ids import new_id
from batchlab.stores.memory import MemoryStore
from tests.processor.jobs.cleanup.laboratory import Laboratory


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    return Laboratory(MemoryStore(new_id()), (tmp_path / "delivered").as_uri())
