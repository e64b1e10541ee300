from __future__ import annotations

from pathlib import Path

import pytest

from batchlab.cli.demo_run import _here
from batchlab.cli.demo_serve import Allowed, free_store, page_file, serving_endpoint
from batchlab.errors import ServiceError
from batchlab.service.here import attending
from batchlab.stores import open_store


@pytest.fixture
def store(tmp_path: Path) -> str:
    return (tmp_path / "store").as_uri()


def test_the_users_own_store_is_taken_while_nothing_runs_or_waits_there(store: str) -> None:
    assert free_store(store, "file:///beside") == store
    with attending(open_store(store)):
        assert free_store(store, "file:///beside") == "file:///beside"
    assert free_store(store, "file:///beside") == store


def test_a_job_that_waits_there_is_not_run_with_the_lists_of_the_demo(store: str) -> None:
    open_store(store).create("pending/01jz8f3s2m9k4n5p6q7r8s9t0v", {})
    assert free_store(store, "file:///beside") == "file:///beside"


def test_a_page_is_named_as_a_file_too(store: str, tmp_path: Path) -> None:
    assert page_file(store, "http://127.0.0.1:1/s/abc") == str(tmp_path / "store/pages/abc/index.html")


def test_what_to_type_next_is_no_bare_name_which_a_shell_seeks_in_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = [_here(tmp_path / "deploy.sh"), _here(tmp_path / "scripts" / "test"), _here(Path("/opt/x"))]
    assert shown == ["./deploy.sh", "scripts/test", "/opt/x"]
    assert _here(Path("batchlab")) == "batchlab"


def test_a_serve_that_cannot_start_is_said_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    allowed = Allowed("127.0.0.1:9", "file:///nowhere")
    with (
        pytest.raises(ServiceError, match="batchlab serve did not start: batchlab: "),
        serving_endpoint((tmp_path / "file").as_uri(), allowed),
    ):
        pytest.fail("it started")
