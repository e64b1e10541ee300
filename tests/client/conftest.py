"""The client's tests also run where only the client is: a server that is not installed there is left out."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests import servers


@pytest.fixture(scope="session")
def weed() -> None:
    """Skips the test when SeaweedFS is not installed; the development environment has it."""
    if shutil.which("weed", path=str(Path(sys.executable).parent)) is None and shutil.which("weed") is None:
        pytest.skip("SeaweedFS is not installed here")


@pytest.fixture(scope="session")
def seaweedfs(weed: None, seaweedfs: servers.S3Server) -> servers.S3Server:
    """The server of tests/conftest.py, once `weed` has looked."""
    return seaweedfs
