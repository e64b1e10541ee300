"""The planned sink: whatever comes, in whatever order, the archive is the same and whole, or it is not there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchlab.errors import ServiceError
from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage import parts_memory
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


def test_photos_that_vanish_while_they_come_are_fillers_to_readers_of_the_stream_and_absent_to_others(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {f"{number:03d}.dat": 3 * P for number in range(60)}
    gallery = make(
        sizes, failing=lambda name, turn: fails(Kind.MISSING) if name in ("007.dat", "031.dat") else None
    )
    ran = gallery.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.state == "partial"
    assert gallery.listed() == whole(gallery, "007.dat", "031.dat")
    fillers = set(gallery.streamed()) - set(sizes) - {"_missing.csv"}
    assert len(fillers) == 2
    assert all(gallery.streamed()[name] == bytes(3 * P) for name in fillers)


def test_an_archive_with_more_than_a_twentieth_of_gaps_is_made_again_without_them(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {f"{number:03d}.dat": 3 * P for number in range(30)}
    gallery = make(
        sizes, failing=lambda name, turn: fails(Kind.MISSING) if name in ("007.dat", "008.dat") else None
    )
    ran = gallery.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.report is not None
    assert (ran.end.state, ran.end.report.counts.done) == ("partial", 28)
    assert gallery.listed() == whole(gallery, "007.dat", "008.dat")
    assert set(gallery.streamed()) == set(gallery.listed()) | {"_missing.csv"}
    assert gallery.unfinished() == []
    assert gallery.opened["003.dat"] == 2  # once for each round


def test_photos_lost_at_the_end_leave_no_gap(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {f"{number:03d}.dat": 3 * P for number in range(10)}
    gallery = make(sizes, failing=lambda name, turn: fails(Kind.MISSING) if name >= "006.dat" else None)
    gallery.run(monkeypatch)
    assert gallery.listed() == whole(gallery, "006.dat", "007.dat", "008.dat", "009.dat")
    assert set(gallery.streamed()) == set(gallery.listed()) | {"_missing.csv"}
    assert gallery.opened["000.dat"] == 1


def test_a_photo_that_changes_while_it_comes_is_taken_anew_and_never_mixed(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"a.dat": 9 * P, "b.dat": 9 * P, "c.dat": 9 * P}
    other = photo("other", 9 * P)

    def failing(name: str, turn: int) -> ItemError | None:
        if name == "b.dat" and turn == 1:
            gallery.put("b.dat", other)
            return fails(Kind.NETWORK)
        return None

    gallery = make(sizes, failing=failing, limits={"workers": 1, "attempts": 3})
    ran = gallery.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.state == "succeeded", ran.end.report
    assert gallery.listed() == whole(gallery) | {"b.dat": other}


def test_a_photo_that_has_another_length_by_now_is_missing(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(name: str, turn: int) -> ItemError | None:
        if name == "b.dat" and turn == 1:
            gallery.put("b.dat", photo("other", 8 * P))
        return None

    gallery = make({"a.dat": 9 * P, "b.dat": 9 * P, "c.dat": 9 * P}, failing=failing, limits={"attempts": 3})
    ran = gallery.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.report is not None
    assert [(failure.key, failure.kind) for failure in ran.end.report.failures] == [("b.dat", Kind.CHANGED)]
    assert gallery.listed() == whole(gallery, "b.dat")


def test_only_what_was_not_sent_is_fetched_again_after_a_kill(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {f"{number:03d}.dat": 3 * P for number in range(60)}
    gallery = make(sizes, killing=lambda act, turn: (act, turn) == ("send, done", 100))
    assert gallery.run(monkeypatch).end is None
    before, sent = dict(gallery.opened), gallery.acts["send"]
    ran = gallery.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.state == "succeeded", ran.end.report
    assert gallery.listed() == whole(gallery)
    workers = 5
    assert gallery.acts["send"] - 180 <= 3 * workers, "at most so many parts are sent twice"
    again = [name for name, count in gallery.opened.items() if count > before.get(name, 0)]
    assert len(again) <= 60 - sent // 3 + 3 * workers


def test_an_upload_that_the_server_forgot_is_begun_again(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = make(
        dict.fromkeys(("a.dat", "b.dat", "c.dat"), 5 * P),
        killing=lambda act, turn: (act, turn) == ("send", 8),
    )
    assert gallery.run(monkeypatch).end is None
    [upload] = gallery.unfinished()
    parts_memory._uploads.pop(upload)
    ran = gallery.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.state == "succeeded"
    assert gallery.listed() == whole(gallery)
    assert gallery.unfinished() == []


def test_a_run_killed_after_the_archive_became_visible_is_followed_by_one_that_only_says_so(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = make(
        {"a.dat": 5 * P, "b.dat": 30}, killing=lambda act, turn: (act, turn) == ("complete, done", 1)
    )
    assert gallery.run(monkeypatch).end is None
    content, opened = gallery.content, dict(gallery.opened)
    ran = gallery.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.report is not None
    assert (ran.end.state, ran.end.report.artifacts[0].size_bytes) == ("succeeded", len(content))
    assert (gallery.content, gallery.opened) == (content, opened)


def test_a_cancelled_job_leaves_no_upload(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = make(
        {f"{number}.dat": 3 * P for number in range(8)}, killing=lambda act, turn: (act, turn) == ("send", 3)
    )
    assert gallery.run(monkeypatch).end is None
    assert gallery.ran is not None
    gallery.ran.records.ask_to_cancel(1)
    ran = gallery.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.state == "cancelled"
    assert gallery.unfinished() == []


def test_a_deadline_delivers_what_has_come_without_the_places_of_the_rest(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(name: str, turn: int) -> ItemError | None:
        time.sleep(0.3 if name >= "003.dat" else 0)  # five minutes of the job's clock
        return None

    gallery = make(
        {f"{number:03d}.dat": 3 * P for number in range(30)},
        failing=failing,
        limits={"workers": 1, "deadline": "40m"},
    )
    ran = gallery.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.report is not None
    done = ran.end.report.counts.done
    assert ran.end.state == "partial"
    assert 1 <= done < 30
    assert gallery.listed() == {name: photo(name, 3 * P) for name in sorted(gallery.sizes)[:done]}
    assert len(gallery.content) < (done + 2) * 3 * P


def test_a_target_that_refuses_fails_the_job_and_one_that_is_away_lets_it_go_on(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (Kind.AUTH, Kind.NETWORK):
        gallery = make({f"{number:03d}.dat": 3 * P for number in range(12)})
        with monkeypatch.context() as patch:
            patch.setattr(parts_memory.MemoryParts, "send", refusing(kind))
            if kind is Kind.NETWORK:
                with pytest.raises(ServiceError, match="goes on"):
                    gallery.run(monkeypatch)
                assert len(gallery.unfinished()) == 1
            else:
                ran = gallery.run(monkeypatch)
                assert ran.end is not None
                assert ran.end.state == "failed"
                assert ran.end.report is not None
                assert "could not be sent" in str(ran.end.report.error)
                assert gallery.unfinished() == []
        if kind is Kind.NETWORK:
            ran = gallery.run(monkeypatch)
            assert ran.end is not None
            assert ran.end.state == "succeeded"


def refusing(kind: Kind) -> Any:
    def send(*_: Any, **__: Any) -> str:
        raise fails(kind)

    return send


def test_volumes_open_alone_and_the_last_one_says_what_is_missing(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {f"{number:03d}.dat": 300_000 for number in range(12)}
    gallery = make(
        sizes,
        params={"maxArchiveBytes": "2 MiB"},
        failing=lambda name, turn: fails(Kind.MISSING) if name == "001.dat" else None,
        killing=lambda act, turn: (act, turn) == ("send", 200),
    )
    gallery.run(monkeypatch)
    ran = gallery.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.report is not None
    names = [artifact.name for artifact in ran.end.report.artifacts]
    assert names == ["album-1.zip", "album-2.zip"]
    volumes = [gallery.files(name) for name in names]
    assert "_missing.csv" not in volumes[0]
    assert "001.dat" in volumes[1].pop("_missing.csv").decode("utf-8-sig")
    assert volumes[0] | volumes[1] == whole(gallery, "001.dat")
    assert all(artifact.size_bytes <= 2 * 1024 * 1024 for artifact in ran.end.report.artifacts)
    assert [artifact.members for artifact in ran.end.report.artifacts] == [len(volume) for volume in volumes]
    assert gallery.unfinished() == []


def test_the_archive_of_the_very_same_photos_is_delivered_again_and_of_others_it_is_not(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make({"a.dat": 5 * P, "b.dat": 30}, params={"reuse": True})
    ran = first.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.report is not None
    [made] = ran.end.report.artifacts
    assert f"{first.name}/out/reuse/" in made.url
    second = make(first.sizes, params={"reuse": True}, name=first.name, filled=True)
    ran = second.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.report is not None
    assert (ran.end.state, list(ran.end.report.artifacts)) == ("succeeded", [made])
    assert ran.end.report.facts["reused"] is True
    assert second.opened == {}
    second.put("b.dat", photo("c", 30))
    third = make(first.sizes, params={"reuse": True}, name=first.name, filled=True)
    ran = third.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.report is not None
    assert ran.end.report.artifacts[0].url != made.url


def test_of_two_jobs_with_the_same_photos_at_once_the_slower_delivers_what_the_quicker_made(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = make(
        {"a.dat": 5 * P, "b.dat": 30}, params={"reuse": True}, killing=lambda act, turn: act == "complete"
    )
    assert slow.run(monkeypatch).end is None
    quick = make(slow.sizes, params={"reuse": True}, name=slow.name, filled=True)
    ran = quick.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.report is not None
    made = ran.end.report.artifacts
    slow.killing = lambda act, turn: False
    ran = slow.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.report is not None
    assert (ran.end.state, ran.end.report.artifacts) == ("succeeded", made)
    assert slow.unfinished() == []


def test_a_retry_fetches_what_was_missing_and_takes_the_rest_from_the_old_archive(
    make: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    mended = False
    sizes = {f"{number:03d}.dat": size for number, size in enumerate([3 * P, 30, P, 9 * P] * 15)}
    bad = {"007.dat", "022.dat"}

    def failing(name: str, turn: int) -> ItemError | None:
        return fails(Kind.MISSING) if name in bad and not mended else None

    gallery = make(sizes, failing=failing)
    gallery.run(monkeypatch)
    assert gallery.ran is not None
    first = gallery.content
    mended = True
    gallery.ran.records.start_retry()
    gallery.opened.clear()
    ran = gallery.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.report is not None
    assert ran.end.state == "succeeded", ran.end.report.failures
    assert set(gallery.opened) == bad
    assert gallery.listed(2) == whole(gallery)
    assert gallery.streamed(2) == whole(gallery)
    assert ran.end.report.facts["copied_bytes"] > len(first) // 3
