from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.processor.jobs.zip_export.exporting import Export
from tests.sources import Source, hostile_source

# No test here is timed: how long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture
def source() -> Iterator[Source]:
    with hostile_source() as server:
        yield server


@pytest.fixture(params=["planned", "streaming"])
def sink(request: pytest.FixtureRequest) -> str:
    """Both, unless a module of tests says otherwise."""
    return str(request.param)


@pytest.fixture
def export(tmp_path: Path, source: Source, sink: str) -> Export:
    return Export(tmp_path / "delivered", f"127.0.0.1:{source.port}", sink)
