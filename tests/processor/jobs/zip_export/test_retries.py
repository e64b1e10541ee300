"""Retries of archives in all the shapes that an earlier generation may have delivered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchlab.kinds import ItemError, Kind
from batchlab_processor import testing
from batchlab_processor.jobs.zip_export.layout import Layout, Shape
from tests.processor.jobs.zip_export.galleries import PART_BYTES, Gallery, fails
from tests.sources import photo

P = PART_BYTES
DATE = datetime(2026, 6, 6, 14, 30, tzinfo=UTC)


@pytest.fixture
def galleries() -> Iterator[list[Gallery]]:
    made: list[Gallery] = []
    yield made
    for gallery in made:
        gallery.forget()


def bad_until_mended(bad: set[str]) -> Gallery:
    """To be filled in; photos of `bad` are there when planned, and gone when fetched, until `bad` is emptied."""

    def failing(name: str, turn: int) -> ItemError | None:
        return fails(Kind.MISSING) if name in bad else None

    return Gallery({}, failing=failing, filled=True)


def fill(gallery: Gallery, sizes: dict[str, int]) -> None:
    gallery.sizes = sizes
    for name, size in sizes.items():
        gallery.put(name, photo(name, size))


def retry(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> testing.Ran:
    assert gallery.ran is not None
    gallery.ran.records.start_retry()
    gallery.opened.clear()
    return gallery.run(monkeypatch)


def whole(gallery: Gallery, *lost: str) -> dict[str, bytes]:
    return {name: photo(name, size) for name, size in gallery.sizes.items() if name not in lost}


def state(ran: testing.Ran) -> str:
    assert ran.end is not None
    return str(ran.end.state)


@pytest.mark.parametrize("cut", [0, 1, 12, 40])
def test_a_photo_that_was_the_first_one_gets_the_header_of_another_place(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    """The grid cuts its header: the rest of the part, and what follows, is copied from the old archive."""
    over = Layout([Shape("a.dat", 1000, DATE), Shape("b.dat", 1, DATE)], part_bytes=P).header_span(1)[0]
    bad = {"a.dat"}
    gallery = bad_until_mended(bad)
    galleries.append(gallery)
    fill(gallery, {"a.dat": 1000 + 5 * P - over - cut, "b.dat": 9 * P, "c.dat": 3 * P})
    assert state(gallery.run(monkeypatch)) == "partial"
    assert list(gallery.streamed()) == ["b.dat", "c.dat", "_missing.csv"], "it was made again without a.dat"
    bad.clear()
    assert state(retry(gallery, monkeypatch)) == "succeeded"
    assert set(gallery.opened) == {"a.dat"}
    assert gallery.listed(2) == whole(gallery)
    assert gallery.streamed(2) == whole(gallery)


def test_a_photo_that_becomes_the_first_one_gets_the_longer_header(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {f"{number:03d}.dat": size for number, size in enumerate([3 * P, 30, P, 9 * P] * 8)}
    bad = {"000.dat", "001.dat", "020.dat"}
    gallery = bad_until_mended(bad)
    galleries.append(gallery)
    fill(gallery, sizes)
    assert state(gallery.run(monkeypatch)) == "partial"
    gallery.remove("000.dat")  # it is not even there when the retry is planned
    bad.clear()
    assert state(retry(gallery, monkeypatch)) == "partial"
    assert gallery.listed(2) == whole(gallery, "000.dat")
    assert {name for name in gallery.streamed(2) if "_missing" not in name} == set(sizes) - {"000.dat"}
    gallery.put("000.dat", photo("000.dat", sizes["000.dat"]))
    assert state(retry(gallery, monkeypatch)) == "succeeded"
    assert set(gallery.opened) == {"000.dat"}
    assert gallery.listed(3) == gallery.streamed(3) == whole(gallery)
    assert gallery.unfinished() == []


def test_volumes_are_retried_photo_by_photo_killed_or_not(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"001.dat", "010.dat"}
    gallery = bad_until_mended(bad)
    galleries.append(gallery)
    gallery.params = {"maxArchiveBytes": "2 MiB"}
    fill(gallery, {f"{number:03d}.dat": 150_000 + number for number in range(24)})
    assert state(gallery.run(monkeypatch)) == "partial"
    bad.discard("001.dat")
    sent, completed = gallery.acts["send"], gallery.acts["complete"]
    left = [("send", sent + 200), ("send, done", sent + 500), ("complete, done", completed + 1)]

    def killing(act: str, turn: int) -> bool:
        return bool(left) and (act, turn) == left[0] and left.pop(0) is not None

    gallery.killing = killing
    ran = retry(gallery, monkeypatch)
    while ran.end is None:
        ran = gallery.run(monkeypatch)
    assert left == []
    assert ran.end.report is not None
    assert [failure.key for failure in ran.end.report.failures] == ["010.dat"]
    found = {name: gallery.files(name, 2) for name in ("album-1.zip", "album-2.zip")}
    assert "_missing.csv" in found["album-2.zip"]
    assert "_missing.csv" not in found["album-1.zip"]
    together = found["album-1.zip"] | found["album-2.zip"]
    together.pop("_missing.csv")
    assert together == whole(gallery, "010.dat")
    bad.clear()
    assert state(retry(gallery, monkeypatch)) == "succeeded"
    assert set(gallery.opened) == {"010.dat"}
    assert gallery.files("album-1.zip", 3) | gallery.files("album-2.zip", 3) == whole(gallery)
    assert gallery.unfinished() == []


def test_a_retry_whose_old_archive_was_removed_is_retried_once_more(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"001.dat"}
    gallery = bad_until_mended(bad)
    galleries.append(gallery)
    fill(gallery, {f"{number:03d}.dat": 9 * P for number in range(24)})
    assert state(gallery.run(monkeypatch)) == "partial"
    bad.clear()
    assert gallery.ran is not None
    gallery.ran.records.start_retry()
    killed_at = gallery.acts["send"] + 60
    gallery.killing = lambda act, turn: (act, turn) == ("send", killed_at)
    ran = gallery.run(monkeypatch)
    assert ran.end is None
    gallery.delete("album.zip", 1)  # between its plan and its end
    for _ in range(3):
        ran = gallery.run(monkeypatch)
        if ran.end is not None:
            break
    assert ran.end is not None
    assert ran.end.report is not None
    assert {failure.kind for failure in ran.end.report.failures} == {Kind.MISSING}
    found = gallery.listed(2)
    lost = {failure.key for failure in ran.end.report.failures}
    assert found == whole(gallery, *lost)
    assert state(retry(gallery, monkeypatch)) == "succeeded"
    assert gallery.listed(3) == whole(gallery)
    assert gallery.unfinished() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(data=st.data())
def test_a_retry_makes_the_very_archive_that_a_first_run_would_have_made(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    lengths = data.draw(
        st.lists(st.sampled_from([1, 30, 200, P // 2, P, 2 * P + 17, 9 * P, 40 * P]), min_size=2, max_size=16)
    )
    sizes = {f"{number:03d}.dat": size for number, size in enumerate(lengths)}
    bad = set(data.draw(st.lists(st.sampled_from(sorted(sizes)), min_size=1, max_size=len(sizes) - 1)))
    acts = st.sampled_from(["send", "send, done", "complete", "complete, done"])
    kills = data.draw(st.lists(st.tuples(acts, st.integers(1, 60)), max_size=3))
    gallery = bad_until_mended(bad)
    gallery.limits = {"workers": data.draw(st.sampled_from([1, 2, 5]))}
    galleries.append(gallery)
    fill(gallery, sizes)
    assert state(gallery.run(monkeypatch)) == "partial"
    mended = set(bad)
    bad.clear()
    left = [(act, turn + gallery.acts.get(act, 0)) for act, turn in kills]
    gallery.killing = lambda act, turn: (act, turn) in left
    ran = retry(gallery, monkeypatch)
    while ran.end is None:
        ran = gallery.run(monkeypatch)
    assert state(ran) == "succeeded"
    assert set(gallery.opened) <= mended
    first = Gallery(sizes)
    galleries.append(first)
    assert state(first.run(monkeypatch)) == "succeeded"
    assert gallery.archive("album.zip", 2) == first.content
    assert gallery.unfinished() == first.unfinished() == []
    for each in (gallery, first):
        each.forget()
