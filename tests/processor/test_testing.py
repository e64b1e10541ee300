"""What authors of job types are given, tried on our own types and on types that break a promise."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from batchlab.outcome import Outcome
from batchlab.report import Artifact
from batchlab_processor.job import Context, Entry, JobFailed, JobType, Plan
from batchlab_processor.jobs.zip_export import ZipExport
from batchlab_processor.storage.base import WriteOptions
from batchlab_processor.storage.memory import MemoryScheme
from batchlab_processor.testing import check_job_type, run_job


class Word(BaseModel):
    text: str


class Words(BaseModel):
    words: list[str]


class Shout(JobType[Word, Word]):
    """A well-behaved type."""

    name: ClassVar[str] = "shout"
    params = Words
    item = Word
    result = Word

    def plan(self, ctx: Context) -> Plan[Word]:
        return Plan([Entry(word, Word(text=word)) for word in ctx.params.words])

    def work(self, item: Word, ctx: Context) -> Word:
        return Word(text=item.text.upper())


DOCUMENT = {"type": "shout", "params": {"words": ["a", "b", "c"]}}
_numbers = itertools.count()


class NewKeys(Shout):
    def plan(self, ctx: Context) -> Plan[Word]:
        return Plan([Entry(f"{word}{next(_numbers)}", Word(text=word)) for word in ctx.params.words])


class Deaf(Shout):
    """Its collect does not look at what is there."""

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> list[Artifact]:
        return []


class Own(Shout):
    """It believes that what it settles is known to all its processes."""

    def __init__(self) -> None:
        self.worked: set[str] = set()

    def work(self, item: Word, ctx: Context) -> Word:
        self.worked.add(item.text)
        return super().work(item, ctx)

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> list[Artifact]:
        seen = {outcome.key for outcome in outcomes}
        if ctx.phase == "collect" and seen != self.worked:
            raise JobFailed("Where are the others?")
        return []


class Crumbling(Shout):
    """Its items do not survive JSON."""

    class Odd(Word):
        def model_dump(self, **options: Any) -> dict[str, Any]:
            return {"text": self.text + "!"}

    item = Odd

    def plan(self, ctx: Context) -> Plan[Word]:
        return Plan([Entry(word, self.Odd(text=word)) for word in ctx.params.words])


def test_a_job_runs_in_memory() -> None:
    ran = run_job(Shout(), DOCUMENT)
    assert ran.end is not None
    assert ran.end.state == "succeeded"
    assert [getattr(outcome, "result", None) for outcome in sorted(ran.outcomes, key=lambda o: o.key)] == [
        Word(text="A"),
        Word(text="B"),
        Word(text="C"),
    ]


def test_a_killed_job_goes_on() -> None:
    broken = run_job(Shout(), DOCUMENT, kill=lambda key: key == "b")
    assert broken.end is None
    assert run_job(Shout(), DOCUMENT, ran=broken).end is not None


def test_a_well_behaved_type_conforms() -> None:
    check_job_type(Shout, DOCUMENT)


@pytest.mark.parametrize(
    ("job_type", "promise"),
    [
        (NewKeys, "keys must be the same"),
        (Deaf, "collect must take"),
        (Crumbling, "survive JSON"),
        (Own, "in shards, the job must end"),
    ],
)
def test_a_type_that_breaks_a_promise_is_told_which(job_type: type[Shout], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_job_type(job_type, DOCUMENT)


def test_zip_export_conforms() -> None:
    place = f"memory://{uuid.uuid4().hex}"
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        with MemoryScheme().write(f"{place}/in/{name}", WriteOptions()) as writer:
            writer.write(b"\xff\xd8\xff\xe0" + name.encode())
            writer.commit()
    items = [f"{place}/in/{name}" for name in ("1.jpg", "2.jpg", "3.jpg")]
    document = {"type": "zip-export", "params": {"items": items}, "output": f"{place}/out"}
    check_job_type(ZipExport, document, sources=[place])
