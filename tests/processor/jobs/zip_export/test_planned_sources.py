"""The planned sink on web servers of all kinds, and where a retry takes the place of the archive it reads from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batchlab_processor import testing
from batchlab_processor.jobs.zip_export import layout
from batchlab_processor.storage.parts_file import FileParts
from tests.processor.jobs.zip_export.exporting import Export
from tests.sources import Source, photo

P = 4096
SIZE_BYTES = 9 * P + 100
WAYS = ["photo", "chunked", "no-length", "no-ranges", "weak", "bare", "get-only", "hash"]


@pytest.fixture(autouse=True)
def parts_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_fitting_part_bytes", lambda total_bytes: P)


@pytest.fixture
def planned(tmp_path: Path, source: Source) -> Export:
    return Export(tmp_path, f"127.0.0.1:{source.port}", "planned")


def items(source: Source, ways: list[str]) -> list[Any]:
    return [
        {"url": source.url(f"/{way}/{way}.jpg?size={SIZE_BYTES}"), "name": f"{way}.jpg", "id": way}
        for way in ways
    ]


def killed_once(monkeypatch: pytest.MonkeyPatch, method: str, turn: int) -> None:
    """The run dies when the method is called for the `turn`-th time."""
    real, count = getattr(FileParts, method), 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == turn:
            raise testing.Killed
        return real(*arguments, **named)

    monkeypatch.setattr(FileParts, method, call)


@pytest.mark.parametrize("turn", [None, 10, 50, 72])
def test_photos_of_any_web_server_come_whole_in_many_parts_killed_or_not(
    planned: Export, source: Source, monkeypatch: pytest.MonkeyPatch, turn: int | None
) -> None:
    if turn is None:
        ran = planned(items(source, WAYS))
    else:
        killed_once(monkeypatch, "send", turn)
        with pytest.raises(testing.Killed):
            planned(items(source, WAYS), workers=2)
        ran = planned.run()
    assert ran.failures == {}
    assert ran.files == {f"{way}.jpg": photo(f"{way}.jpg", SIZE_BYTES) for way in WAYS}


@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "killed before it is visible"])
def test_a_retry_takes_the_place_of_the_archive_it_reads_from(
    planned: Export, source: Source, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    ways = [*WAYS, "late"]
    source.add("late", lambda to: to.answer(404, b"", "text/plain"))
    assert planned(items(source, ways)).failures == {"late": "missing"}
    source.add("late", lambda to: to.good())
    assert planned.records is not None
    planned.records.start_retry()
    source.requests.clear()
    if killed:
        killed_once(monkeypatch, "complete", 1)
        with pytest.raises(testing.Killed):
            planned.run()
    ran = planned.run()
    assert (ran.state, ran.failures) == ("succeeded", {})
    assert ran.files == {f"{way}.jpg": photo(f"{way}.jpg", SIZE_BYTES) for way in ways}
    assert {seen.path for seen in source.requests} == {"/late/late.jpg"}
    assert [path.name for path in planned.directory.iterdir()] == ["album.zip"]


def test_an_archive_of_somebody_else_is_replaced_only_when_that_was_asked_for(
    planned: Export, source: Source
) -> None:
    (planned.directory / "album.zip").write_bytes(b"somebody else's")
    assert "album.zip" in planned(items(source, ["photo"])).error
    assert (planned.directory / "album.zip").read_bytes() == b"somebody else's"
    ran = planned(items(source, ["photo"]), overwrite=True)
    assert ran.files == {"photo.jpg": photo("photo.jpg", SIZE_BYTES)}
    assert [path.name for path in planned.directory.iterdir()] == ["album.zip"]
