from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchlab.errors import UsageError
from batchlab_processor.demo import MISSING, Served, find_gallery, find_photos, serving


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(find_gallery(), latency_seconds=0) as served:
        yield served


def get(url: str, span: str = "") -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers={"Range": span} if span else {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_every_photo_but_the_missing_and_the_flaky_one_is_there(served: Served) -> None:
    assert len(served.photos) == 13
    for name in set(served.photos) - {served.missing, served.flaky}:
        assert get(f"{served.url}/{name}") == (200, Path(served.folder, name).read_bytes())


def test_the_missing_photo_is_missing_each_time(served: Served) -> None:
    assert served.missing == MISSING
    assert [get(f"{served.url}/{MISSING}")[0] for _ in range(3)] == [404] * 3


def test_the_flaky_photo_is_refused_twice_and_then_good(served: Served) -> None:
    assert [get(f"{served.url}/{served.flaky}")[0] for _ in range(4)] == [503, 503, 200, 200]


def test_looking_at_the_flaky_photo_does_not_use_up_its_refusals(served: Served) -> None:
    assert get(f"{served.url}/{served.flaky}", "bytes=0-511")[0] == 206
    assert get(f"{served.url}/{served.flaky}")[0] == 503


def test_parts_of_a_photo_are_served_as_asked(served: Served) -> None:
    url, whole = f"{served.url}/{served.photos[0]}", Path(served.folder, served.photos[0]).read_bytes()
    assert get(url, "bytes=0-9") == (206, whole[:10])
    assert get(url, "bytes=10-") == (206, whole[10:])
    assert get(url, f"bytes={len(whole)}-")[0] == 416


@pytest.mark.parametrize(
    "path", ["", "/", "/../../README.md", "/%2e%2e/%2e%2e/README.md", "/ATTRIBUTION.md", "//etc/passwd"]
)
def test_nothing_else_on_this_machine_is_served(served: Served, path: str) -> None:
    assert get(served.url + path)[0] == 404


def test_it_listens_on_this_machine_only_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with serving(find_gallery(), latency_seconds=0) as served:
        assert served.url.startswith("http://127.0.0.1:")
    assert set(threading.enumerate()) <= before
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(served.url)


def test_where_the_gallery_was_looked_for_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as missing:
        find_gallery(tmp_path / "lib" / "batchlab_processor")
    assert f"{tmp_path}/examples/gallery" in missing.value.message
    assert "batchlab demo DIRECTORY" in missing.value.message


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="in it"):
        find_photos(tmp_path)


def test_the_command_says_what_it_serves_and_ends_with_its_stdin() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "batchlab_processor", "demo"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        served = Served(**json.loads(process.stdout.readline()))
        assert get(f"{served.url}/{served.photos[0]}")[0] == 200
        process.stdin.close()
        assert process.wait(20) == 0
