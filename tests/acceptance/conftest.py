"""The machine of tests/acceptance/deploy_machine.py, and its AWS account for a whole run of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.acceptance.deploy_machine import Machine, copy_sources, make_machine


@pytest.fixture(scope="session")
def account() -> Iterator[str]:
    with servers.moto_server() as url:
        yield url


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture
def machine(tmp_path: Path, sources: Path, account: str) -> Machine:
    return make_machine(tmp_path, sources, account)
