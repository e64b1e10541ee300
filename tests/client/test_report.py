import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.document import JobDocument
from batchlab.kinds import Kind
from batchlab.outcome import Done, Failed, Outcome, Skipped
from batchlab.report import Artifact, Figures, Report, build_report, decide_state
from batchlab.status import Counts, State

NOON = datetime(2026, 6, 6, 12, tzinfo=UTC)
ID = "01j00000000000000000000000"
DOCUMENT = JobDocument(id=ID, type="zip-export", title="Smith", output="s3://bucket/out")
ALBUM = Artifact(name="album.zip", url="s3://bucket/out/album.zip", size_bytes=100, members=3)


def figures(seconds: float = 10, **more: Any) -> Figures:
    return Figures(started_at=NOON, ended_at=NOON + timedelta(seconds=seconds), **more)


def done(number: int, seconds: float = 1.0) -> Done:
    return Done(key=f"{number}.jpg", attempts=1, seconds=seconds, size_bytes=2_000_000)


def missing(number: int) -> Failed:
    return Failed(key=f"{number}.jpg", kind=Kind.MISSING, message="Not there (404).", attempts=1)


def report(outcomes: list[Outcome], *, artifacts: list[Artifact] | None = None, **more: Any) -> Report:
    more.setdefault("figures", figures())
    return build_report(
        DOCUMENT, outcomes, [ALBUM] if artifacts is None else artifacts, more.pop("figures"), **more
    )


def left(number: int) -> Skipped:
    return Skipped(key=f"{number}.jpg", reason="not_started")


@pytest.mark.parametrize(
    ("outcomes", "more", "state"),
    [
        ([done(1), done(2)], {}, State.SUCCEEDED),
        ([], {"artifacts": []}, State.SUCCEEDED),
        ([done(1), missing(2)], {}, State.PARTIAL),
        ([done(1), left(2)], {"stopped": "deadline"}, State.PARTIAL),
        ([missing(1), missing(2)], {"artifacts": []}, State.FAILED),
        ([left(1)], {"artifacts": []}, State.FAILED),
        ([done(1), missing(2)], {"artifacts": []}, State.PARTIAL),
        ([done(1), missing(2)], {"artifacts": [], "effects_survive": False}, State.FAILED),
        ([done(1), done(2)], {"artifacts": [], "error": "The disk is full."}, State.FAILED),
        ([done(1), left(2)], {"artifacts": [], "stopped": "cancelled"}, State.CANCELLED),
        ([done(1), left(2)], {"artifacts": [], "stopped": "max_failures"}, State.PARTIAL),
    ],
)
def test_the_end_is_told_as_it_is(outcomes: list[Outcome], more: dict[str, Any], state: State) -> None:
    assert report(outcomes, **more).state is state


@given(
    st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.booleans(),
    st.sampled_from([None, "cancelled", "max_failures", "deadline"]), st.sampled_from([None, "broken"]),
)  # fmt: skip
def test_nothing_missing_is_ever_called_a_success(
    done: int, failed: int, skipped: int, delivered: bool, stopped: Any, error: str | None
) -> None:
    counts = Counts(total=done + failed + skipped, done=done, failed=failed, skipped=skipped)
    state = decide_state(counts, delivered=delivered, stopped=stopped, error=error)
    if state is State.SUCCEEDED:
        assert not failed and not skipped and error is None and stopped != "cancelled"
    if state is State.PARTIAL:
        assert delivered and (failed or skipped)
    assert (state is State.CANCELLED) == (stopped == "cancelled")


def test_every_item_is_accounted_for() -> None:
    got = report([done(1), missing(2), left(3)])
    assert [(item.key, item.outcome) for item in got.items] == [
        ("1.jpg", "done"),
        ("2.jpg", "failed"),
        ("3.jpg", "skipped"),
    ]
    assert got.counts == Counts(total=3, done=1, failed=1, skipped=1, done_bytes=2_000_000)
    assert got.skipped_by_reason == {"not_started": 1} and got.failures_by_kind == {Kind.MISSING: 1}
    assert got.failures[0].model_dump() == {
        "key": "2.jpg",
        "kind": "missing",
        "message": "Not there (404).",
        "attempts": 1,
        "recoverable": False,
    }
    assert got.items[0].megabytes_per_second == 2.0 and got.items[1].megabytes_per_second is None


def test_the_ten_slowest_are_named_longest_first() -> None:
    got = report([done(number, seconds=float(number)) for number in range(1, 31)])
    assert [item.key for item in got.slowest] == [f"{number}.jpg" for number in range(30, 20, -1)]


def test_equally_slow_items_stand_in_the_order_of_the_plan() -> None:
    assert [item.key for item in report([done(number) for number in range(12)]).slowest][:2] == [
        "0.jpg",
        "1.jpg",
    ]


def test_a_huge_job_keeps_its_report_readable() -> None:
    got = build_report(
        DOCUMENT, (missing(n) if n % 2 else done(n) for n in range(25_000)), [ALBUM], figures()
    )
    assert got.items == () and got.items_omitted == 25_000
    assert got.counts.total == 25_000 and got.failures_by_kind == {Kind.MISSING: 12_500}
    assert len(got.failures) == 10_000 and len(got.slowest) == 10


def test_speeds_are_megabytes_of_a_million_bytes() -> None:
    got = report(
        [done(n) for n in range(5)],
        figures=figures(4, downloaded_bytes=12_000_000, uploaded_bytes=10_000_000, run_seconds=2.0),
    )
    assert got.megabytes_per_second == 2.5, "the items' bytes over all the time"
    assert (got.download_megabytes_per_second, got.upload_megabytes_per_second) == (6.0, 5.0)


def test_no_time_at_all_is_no_speed() -> None:
    assert report([done(1)], figures=figures(0)).megabytes_per_second is None


def test_the_customer_reads_one_plain_sentence() -> None:
    assert report([done(1), done(2)]).message == "2 photos done."
    assert report([done(1), missing(2)]).message == "1 of 2 photos done; 1 is missing."
    assert report([done(1), missing(2), missing(3)]).message == "1 of 3 photos done; 2 are missing."
    assert report([missing(1)], artifacts=[]).message == "Nothing could be delivered."
    assert report([done(1), left(2)], stopped="cancelled").message == "Cancelled after 1 of 2 photos."


def test_a_report_survives_the_store() -> None:
    full = report([done(1), missing(2)], facts={"names": ["a"]}, sink="streaming")
    assert Report.model_validate_json(full.model_dump_json()) == full
    assert json.loads(full.model_dump_json())["version"] == 1


def test_no_secret_is_in_a_report() -> None:
    url = "https://ann:CANARY@h/a.jpg?token=CANARY#CANARY"
    got = build_report(
        DOCUMENT.model_copy(update={"title": f"Smith {url}"}),
        [
            Failed(key=url, kind=Kind.AUTH, message=f"403 for {url}"),
            Failed(key="b", kind=Kind.BLOCKED_URL, message=f"{url} is not allowed"),
            Done(key=url + "2", seconds=1, size_bytes=1),
        ],
        [Artifact(name="a.zip", url=url, size_bytes=1)],
        figures(),
        error=f"boom {url}",
        facts={"source": url, url: {"deep": [url]}},
    )
    assert "CANARY" not in got.model_dump_json()
    assert got.artifacts[0].url == "https://h/a.jpg"


def test_the_docs_explain_every_field() -> None:
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    missing = [name for name in Report.model_fields if f"`{name}`" not in page]
    assert missing == []
