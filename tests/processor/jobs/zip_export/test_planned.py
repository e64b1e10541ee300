"""The planned sink: whatever comes, in whatever order, the archive is the same and whole, or it is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchlab.kinds import ItemError, Kind
from tests.processor.jobs.zip_export.galleries import PART_BYTES, Gallery, fails
from tests.sources import photo

ACTS = ["send", "send, done", "complete", "complete, done"]
MAY_FAIL = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
P = PART_BYTES
LENGTHS = [30, P // 2, P, 3 * P, 40 * P, 1, P - 1, P + 1, 3 * P]
MIXED = {f"{number:03d}.dat": size for number, size in enumerate(LENGTHS * 3)}


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Gallery]]:
    made: list[Gallery] = []

    def one(sizes: dict[str, int], **more: Any) -> Gallery:
        made.append(Gallery(sizes, **more))
        return made[-1]

    yield one
    for gallery in made:
        gallery.forget()


def whole(gallery: Gallery, *lost: str) -> dict[str, bytes]:
    return {name: photo(name, size) for name, size in gallery.sizes.items() if name not in lost}


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 16])
def test_the_archive_is_the_same_for_any_number_of_workers_and_photos_of_any_number_of_parts(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    first, other = (make(MIXED, limits={"workers": count}) for count in (5, workers))
    for gallery in (first, other):
        ran = gallery.run(monkeypatch)
        assert ran.end is not None
        assert ran.end.state == "succeeded", ran.end.message
        assert gallery.unfinished() == []
    assert other.listed() == whole(other)
    assert other.streamed() == whole(other)
    assert first.content == other.content


@MAY_FAIL
@given(data=st.data())
def test_whatever_fails_and_whenever_it_is_killed_every_photo_is_delivered_or_named_and_nothing_is_left(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    lengths = data.draw(st.lists(st.sampled_from([*LENGTHS, 60, 200, 2 * P + 17]), min_size=1, max_size=24))
    sizes = {f"{number:03d}.dat": size for number, size in enumerate(lengths)}
    kinds = st.sampled_from([Kind.NETWORK, Kind.MISSING, Kind.CHANGED, Kind.CORRUPT])
    turns = st.tuples(st.sampled_from(sorted(sizes)), st.integers(1, 3))
    faults = data.draw(st.dictionaries(turns, kinds, max_size=12))
    kills = data.draw(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(1, 30)), max_size=4))

    def failing(name: str, turn: int) -> ItemError | None:
        kind = faults.get((name, turn))
        return None if kind is None else fails(kind)

    left = list(kills)

    def killing(act: str, turn: int) -> bool:
        if (act, turn) in left:
            left.remove((act, turn))
            return True
        return False

    workers = data.draw(st.sampled_from([1, 2, 3, 5]))
    gallery = make(sizes, failing=failing, killing=killing, limits={"workers": workers})
    for _ in range(len(kills) + 1):
        if (ran := gallery.run(monkeypatch)).end is not None:
            break
    assert ran.end is not None
    assert ran.end.report is not None
    lost = {failure.key for failure in ran.end.report.failures}
    assert gallery.unfinished() == []
    if lost == set(sizes):
        assert ran.end.state == "failed"
        return
    assert ran.end.state == ("partial" if lost else "succeeded"), ran.end.message
    assert gallery.listed() == whole(gallery, *lost)
    streamed = gallery.streamed()
    assert {
        name: content for name, content in streamed.items() if name in sizes and name not in lost
    } == whole(gallery, *lost)
