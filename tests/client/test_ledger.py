"""Outcomes survive whatever happens to the run and to the store."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import BaseModel

from batchlab.errors import ServiceError
from batchlab.kinds import Kind
from batchlab.ledger import LedgerWriter, fold
from batchlab.outcome import Done, Failed, Outcome, Skipped
from batchlab.store import JSON, Store
from batchlab.stores.memory import MemoryStore
from tests.client.stores.every import EVERY, opened


class Result(BaseModel):
    name: str
    ratio: float = 1.0


class Failing(MemoryStore):
    """`faults`: per append "before" (nothing was written), "after" (it was, the answer is lost) or ""."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("ledger")
        self.faults = faults

    def append(self, name: str, lines: list[JSON]) -> None:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise ServiceError("The store is away.")
        super().append(name, lines)
        if fault == "after":
            raise ServiceError("The answer was lost.")


@pytest.fixture(params=EVERY)
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with opened(request.param, request, tmp_path) as store:
        yield store


def _failed(key: str, message: str = "away") -> Failed:
    return Failed(key=key, kind=Kind.NETWORK, message=message, attempts=3)


def test_what_was_recorded_is_found_by_the_next_run(real: Store) -> None:
    writer = LedgerWriter(real, "a", 1, "01", every_outcomes=3)
    wanted: dict[str, Outcome] = {
        "1": Done(key="1", attempts=2, seconds=1.5, size_bytes=10, result=Result(name="ü")),
        "2": _failed("2"),
        "3": Skipped(key="3", reason="stage"),
        "4": Done(key="4"),
    }
    for outcome in wanted.values():
        writer.record(outcome)
    writer.note({"note": "part", "number": 1})
    writer.close()
    folded = fold(real, "a", 1)
    first = folded.outcomes.pop("1")
    assert isinstance(first, Done)
    assert (Result.model_validate(first.result), first.seconds) == (Result(name="ü"), 1.5)
    assert folded.outcomes == {key: outcome for key, outcome in wanted.items() if key != "1"}
    assert folded.notes == [{"note": "part", "number": 1}]
    assert fold(real, "a", 2).outcomes == {}


def test_a_segment_is_written_when_it_is_full_and_when_asked() -> None:
    store = MemoryStore("full")
    writer = LedgerWriter(store, "a", 1, "01", every_outcomes=2)
    seen = []
    for key in "abc":
        writer.record(Done(key=key))
        seen.append(len(fold(store, "a", 1).outcomes))
    writer.flush()
    writer.flush()
    assert seen == [0, 2, 2]
    assert list(store.names("")) == [f"jobs/a/g1/ledger/01-00000{number}.jsonl" for number in range(2)]
    assert len(fold(store, "a", 1).outcomes) == 3


def test_many_threads_lose_nothing() -> None:
    store = MemoryStore("threads")
    writer = LedgerWriter(store, "a", 1, "01", every_outcomes=5)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: writer.record(Done(key=str(number))), range(2_000)))
    writer.close()
    assert set(fold(store, "a", 1).outcomes) == {str(number) for number in range(2_000)}


@pytest.mark.parametrize("faults", list(itertools.product(["", "before", "after"], repeat=3)))
def test_a_store_that_fails_loses_no_outcome_and_doubles_no_note(faults: tuple[str, ...]) -> None:
    store = Failing(list(faults))
    writer = LedgerWriter(store, "a", 1, "01", every_outcomes=2)
    for number in range(6):
        for act in (
            lambda: writer.record(Done(key=f"k{number}")),  # noqa: B023
            lambda: writer.note({"note": "part", "number": number}),  # noqa: B023
        ):
            try:
                act()
            except ServiceError:
                continue
    while True:
        try:
            writer.close()
            break
        except ServiceError:
            continue
    folded = fold(store, "a", 1)
    assert sorted(folded.outcomes) == [f"k{number}" for number in range(6)]
    assert [note["number"] for note in folded.notes] == list(range(6))


def test_flush_does_not_return_before_all_is_durable() -> None:
    store = Failing(["before"])
    writer = LedgerWriter(store, "a", 1, "01")
    writer.record(Done(key="a"))
    with pytest.raises(ServiceError):
        writer.flush()
    writer.flush()
    assert set(fold(store, "a", 1).outcomes) == {"a"}


def test_a_segment_that_somebody_else_wrote_is_kept_and_ours_comes_behind_it() -> None:
    store = MemoryStore("somebody")
    store.append("jobs/a/g1/ledger/01-000000.jsonl", [{"outcome": "done", "key": "theirs"}])
    writer = LedgerWriter(store, "a", 1, "01")
    writer.record(Done(key="ours"))
    writer.close()
    assert set(fold(store, "a", 1).outcomes) == {"theirs", "ours"}


def test_a_number_that_json_cannot_say_does_not_block_the_ledger() -> None:
    store = MemoryStore("nan")
    writer = LedgerWriter(store, "a", 1, "01")
    writer.record(Done(key="a", result={"ratio": float("nan")}))
    with pytest.raises(TypeError):
        writer.note({"note": object()})
    writer.record(Done(key="\ud800", result=Result(name="\udfff")))
    writer.close()
    outcomes = fold(store, "a", 1).outcomes
    assert outcomes["a"] == Done(key="a", result={"ratio": None})
    assert "\ud800" in outcomes


def _segments(*runs: tuple[str, int, Outcome]) -> list[tuple[str, list[JSON]]]:
    return [
        (f"jobs/a/g1/ledger/{run}-{number:06d}.jsonl", [outcome.model_dump(mode="json")])
        for run, number, outcome in runs
    ]


@pytest.mark.parametrize(
    ("segments", "wanted"),
    [
        ([("01", 0, Done(key="k", attempts=1)), ("02", 0, Done(key="k", attempts=2))], Done(key="k", attempts=1)),
        ([("01", 0, _failed("k", "first")), ("02", 0, _failed("k", "second"))], _failed("k", "second")),
        ([("01", 9, _failed("k", "nine")), ("01", 10, _failed("k", "ten"))], _failed("k", "ten")),
        ([("01", 0, _failed("k")), ("02", 0, Done(key="k"))], Done(key="k")),
        ([("01", 0, Done(key="k")), ("02", 0, _failed("k"))], Done(key="k")),
        ([("01", 0, _failed("k")), ("02", 0, Skipped(key="k", reason="not_started"))], _failed("k")),
        ([("01", 0, Skipped(key="k", reason="not_started")), ("02", 0, _failed("k"))], _failed("k")),
        ([("01", 999_999, _failed("k", "a")), ("01", 1_000_000, _failed("k", "b"))], _failed("k", "b")),
    ],
)  # fmt: skip
def test_the_first_done_wins_else_the_last_failure_whatever_the_order_of_the_listing(
    segments: list[tuple[str, int, Outcome]], wanted: Outcome
) -> None:
    class Shuffled(MemoryStore):
        def names(self, prefix: str, *, after: str = "") -> Iterator[str]:
            found = list(super().names(prefix, after=after))
            random.shuffle(found)
            return iter(found)

    for _ in range(4):
        store = Shuffled("shuffled")
        for name, lines in _segments(*segments):
            store.append(name, lines)
        assert fold(store, "a", 1).outcomes == {"k": wanted}


def test_a_line_of_another_version_is_named_with_its_place() -> None:
    store = MemoryStore("version")
    store.append("jobs/a/g1/ledger/01-000000.jsonl", [{"note": "fine"}, {"outcome": "vanished", "key": "k"}])
    with pytest.raises(ServiceError, match=r"01-000000\.jsonl, line 3 .*newer version"):
        fold(store, "a", 1)
    store = MemoryStore("strange")
    store.append("jobs/a/g1/ledger/notes.txt", [])
    with pytest.raises(ServiceError, match=r"notes\.txt is no segment"):
        fold(store, "a", 1)
