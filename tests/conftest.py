"""Fixtures for all tests. Nothing heavy is imported before a test asks: the client's tests run where only it is."""

from __future__ import annotations

import logging
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests import servers

if TYPE_CHECKING:
    from tests.strict_s3 import StrictS3

# What a developer's own account would add to a test. Cleared, so that no test ever touches it.
_ACCOUNT_PREFIXES = ("AWS_", "BATCHLAB_", "R2_", "S3_", "GOOGLE_", "FIREBASE_", "STORAGE_EMULATOR_")
_KEPT_PREFIX = "BATCHLAB_TEST_"
# Of the client's tests, those that need what an environment with only the client does not have: they run in the other.
_MORE = ("seaweedfs", "tests/client/service/", "tests/client/batch/", "tests/client/test_client_conformance")
_WHOLE_MODULE = re.compile(r"^pytestmark = pytest\.mark\.(\w+)(?:$|  #)", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--not-client-alone",
        action="store_true",
        help="leave out the client's tests that run where only the client is installed",
    )
    parser.addoption(
        "--client-alone",
        action="store_true",
        help="leave out those of the client's tests that need more than the client",
    )


def pytest_configure() -> None:
    """Of what is tried with generated values, so many; scripts/test --all tries 50 (BATCHLAB_TEST_EXAMPLES).

    Whoever starts the tests in the background has them ignore Ctrl-C, and what they start would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    examples = int(os.environ.get("BATCHLAB_TEST_EXAMPLES", "10"))
    settings.register_profile("counted", max_examples=examples)
    settings.load_profile("counted")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Modules that could not even be imported are not looked at, nor those of which no test would run."""
    if config.getoption("--client-alone") and _needs_more(f"{collection_path}/"):
        return True
    asked_for = any(Path(each.partition("::")[0]).resolve() == collection_path for each in config.args)
    return True if not asked_for and _all_left_out(collection_path, config.getoption("-m")) else None


def _all_left_out(path: Path, selection: str) -> bool:
    """The whole module has one marker and `selection` (-m) refuses it: CDK and schemathesis take 10 s to import."""
    if "not " not in selection or path.suffix != ".py" or not path.name.startswith("test_"):
        return False
    marker = _WHOLE_MODULE.search(path.read_text(encoding="utf-8"))
    return marker is not None and f"not {marker[1]}" in selection.split(" and ")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = set[pytest.Item]()
    if config.getoption("--not-client-alone"):
        left_out = {
            each for each in items if each.nodeid.startswith("tests/client/") and not _needs_more(each.nodeid)
        }
    elif config.getoption("--client-alone"):
        left_out = {each for each in items if _needs_more(each.nodeid)}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [each for each in items if each not in left_out]


def _needs_more(name: str) -> bool:
    return any(more in name for more in _MORE)


@pytest.fixture(autouse=True)
def no_account_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, endpoints or settings from outside; none are looked for on this machine either."""
    for name in list(os.environ):
        if name.startswith(_ACCOUNT_PREFIXES) and not name.startswith(_KEPT_PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture(autouse=True)
def our_logger_as_it_was() -> Iterator[None]:
    """A process of ours sets the level of its own logger; here many tests share one process."""
    ours = logging.getLogger("batchlab")
    level = ours.level
    yield
    ours.setLevel(level)


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[servers.S3Server]:
    """A real S3 server; one for each test process."""
    with servers.seaweedfs() as server:
        yield server


@pytest.fixture(scope="session")
def moto_s3() -> Iterator[servers.S3Server]:
    """moto's S3 server; one for each test process."""
    with servers.moto_s3() as server:
        yield server


@pytest.fixture(scope="session")
def strict_s3_server() -> Iterator[StrictS3]:
    from tests import strict_s3

    with strict_s3.strict_s3() as strict:
        yield strict


@pytest.fixture(scope="session")
def strict_r2_server() -> Iterator[StrictS3]:
    from tests import strict_s3

    with strict_s3.strict_s3(r2=True) as strict:
        yield strict


@pytest.fixture
def strict_s3(strict_s3_server: StrictS3) -> StrictS3:
    """An S3 server that forgives nothing, with the empty bucket "bucket"; parts may be as small as 1 KiB."""
    strict_s3_server.reset()
    return strict_s3_server


@pytest.fixture
def strict_r2(strict_r2_server: StrictS3) -> StrictS3:
    """The same with the rules of R2."""
    strict_r2_server.reset()
    return strict_r2_server


@pytest.fixture(scope="session")
def fake_gcs() -> Iterator[servers.GCSServer]:
    """fake-gcs-server; one for each test process."""
    with servers.fake_gcs() as server:
        yield server


@pytest.fixture
def seaweedfs_bucket(seaweedfs: servers.S3Server) -> Iterator[str]:
    """A new bucket on SeaweedFS."""
    with seaweedfs.bucket() as bucket:
        yield bucket


@pytest.fixture
def moto_bucket(moto_s3: servers.S3Server) -> Iterator[str]:
    """A new bucket on moto."""
    with moto_s3.bucket() as bucket:
        yield bucket


@pytest.fixture
def gcs_bucket(fake_gcs: servers.GCSServer) -> Iterator[str]:
    """A new bucket on fake-gcs-server."""
    with fake_gcs.bucket() as bucket:
        yield bucket


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a Postgres: DATABASE_URL's, else one of this machine or of the wheel; one for each test process."""
    from batchlab_processor.postgres import postgres

    with postgres(database_url=os.environ.get("DATABASE_URL", "")) as url:
        yield url


@pytest.fixture
def database_url(postgres_server: str) -> Iterator[Any]:
    """The URL of a new, empty database."""
    from batchlab_processor.postgres import postgres

    with postgres(database_url=postgres_server) as url:
        yield url
