"""A job's token and the addresses made of it."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from batchlab.page import download_url, is_token, page_url, token
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.stores.memory import MemoryStore
from tests.customer_jobs import new_job

SERVED = Settings(public_base_url="https://photos.example/batch")


@pytest.fixture
def records() -> JobRecords:
    return new_job(MemoryStore("links"))


def test_a_token_is_128_random_bits_and_stays_the_jobs(records: JobRecords) -> None:
    its = token(records)
    assert len(base64.urlsafe_b64decode(its + "==")) == 16
    assert is_token(its)
    assert token(records) == its
    assert token(new_job(records.store)) != its


def test_all_who_ask_first_at_the_same_time_get_one_token(
    records: JobRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, both = records.store.read, threading.Barrier(8)

    def read_together(name: str) -> Any:
        found = read(name)
        if found is None:
            both.wait(30)  # nobody has written yet when the last one has looked
        return found

    monkeypatch.setattr(records.store, "read", read_together)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: token(records), range(8)))) == 1


def test_whether_somebody_has_the_address_is_known_without_giving_one(records: JobRecords) -> None:
    assert not records.has_page()
    token(records)
    assert records.has_page()


def test_addresses_stand_under_the_public_one() -> None:
    assert page_url(SERVED, "T") == "https://photos.example/batch/s/T"
    assert download_url(SERVED, "T") == "https://photos.example/batch/d/T"
    assert download_url(SERVED, "T", 3) == "https://photos.example/batch/d/T/3"


def test_without_a_public_address_there_are_none() -> None:
    assert page_url(Settings(), "T") is None and download_url(Settings(), "T", 1) is None


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 23, "../../../../etc/passwd", "a" * 21 + "/", "ä" * 22, "a" * 21 + "\n"]
)
def test_what_cannot_be_a_token_is_none(text: str) -> None:
    assert not is_token(text)
