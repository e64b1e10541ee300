"""Job ids: ULIDs that sort by age and never repeat."""

import os
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest

from batchlab.ids import ID_PATTERN, IdMaker, id_from_batch_job, id_from_bits, is_id, new_id

NOON = datetime(2026, 6, 6, 12, tzinfo=UTC)


def test_an_id_has_the_form_of_a_lower_case_ulid() -> None:
    assert re.fullmatch(ID_PATTERN, new_id())
    assert is_id(new_id())


@pytest.mark.parametrize(
    "text", ["", "0" * 25, "0" * 27, "I" * 26, "l" * 26, "0" * 25 + "U", "0" * 26 + "\n"]
)
def test_other_texts_are_no_ids(text: str) -> None:
    assert not is_id(text)


def test_ids_sort_by_the_time_they_were_made() -> None:
    make = IdMaker()
    ids = [make.new(NOON + timedelta(milliseconds=step)) for step in range(100)]
    assert ids == sorted(ids)


def test_the_first_ten_letters_spell_the_milliseconds() -> None:
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    milliseconds = 0
    for letter in IdMaker().new(NOON)[:10]:
        milliseconds = milliseconds * 32 + alphabet.index(letter)
    assert milliseconds == NOON.timestamp() * 1000


def test_ids_grow_while_the_clock_stands_still_or_steps_back() -> None:
    make = IdMaker()
    ids = [make.new(NOON - timedelta(seconds=step // 10)) for step in range(1_000)]
    assert ids == sorted(set(ids))


def test_ids_made_in_many_threads_are_all_different() -> None:
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.extend(new_id(NOON) for _ in range(500))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 4_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_does_not_go_on_with_its_parents_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = IdMaker()  # not the process's own: ids a year ahead would be the next ones of all later tests
    monkeypatch.setattr("batchlab.ids._process_ids", maker)
    os.register_at_fork(after_in_child=maker.forget)
    future = datetime.now(UTC) + timedelta(days=365)  # so that both would count on from the same last id
    new_id(future)
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, new_id(future).encode())
        os._exit(0)
    os.waitpid(child, 0)
    with os.fdopen(readable) as pipe:
        os.close(writable)
        assert pipe.read() != new_id(future)


def test_bits_and_ids_correspond() -> None:
    assert id_from_bits(0) == "0" * 26
    assert id_from_bits(2**128 - 1) == "7" + "z" * 25
    for bits in (-1, 2**128):
        with pytest.raises(ValueError, match="128 bits"):
            id_from_bits(bits)


def test_a_batch_job_has_one_id_for_all_its_attempts_and_array_indexes() -> None:
    job = "4c7599ae-0a82-49aa-ba5a-4727fcce14a8"
    assert is_id(id_from_batch_job(job))
    assert id_from_batch_job(job) == id_from_batch_job(f"{job}:17") == id_from_batch_job(f"{job}#0")
    assert id_from_batch_job(job) != id_from_batch_job("4c7599ae-0a82-49aa-ba5a-4727fcce14a9")


def test_what_is_no_uuid_is_no_batch_job() -> None:
    with pytest.raises(ValueError, match="UUID"):
        id_from_batch_job("job-1")
