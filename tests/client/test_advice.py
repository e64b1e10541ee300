from typing import Any

import pytest

from batchlab.advice import BY_KIND
from batchlab.document import JobDocument
from batchlab.kinds import Kind
from batchlab.limits import Limits
from batchlab.outcome import Done, Failed, Outcome, Skipped
from batchlab.report import Environment, build_report
from tests.client.test_report import DOCUMENT, ID, done, figures, left, missing

RETRY = f"`batchlab retry {ID}`"


def advice(outcomes: list[Outcome], *, limits: dict[str, Any] | None = None, **more: Any) -> tuple[str, ...]:
    document = DOCUMENT.model_copy(update={"limits": Limits.model_validate(limits or {})})
    return build_report(document, outcomes, [], more.pop("figures", figures()), **more).recommendations


def failed(kind: Kind, count: int = 1, message: str = "no") -> list[Outcome]:
    return [Failed(key=f"{kind}-{number}", kind=kind, message=message) for number in range(count)]


def many_done(count: int = 20) -> list[Outcome]:
    return [done(number) for number in range(count)]


def test_a_job_that_went_well_is_left_in_peace() -> None:
    assert advice(many_done()) == ()


def test_missing_photos_are_to_be_uploaded_again() -> None:
    assert advice([*many_done(), missing(99)]) == (
        f"Not at the source: 1 photo. Upload again, then run {RETRY}.",
    )


def test_expired_and_refused_links_want_fresh_ones() -> None:
    said = advice([*many_done(), *failed(Kind.EXPIRED_URL, 2), *failed(Kind.AUTH)])
    assert said[0] == "Links that had expired: 2 photos. Submit the job again with fresh links."
    assert "fresh links" in said[1]


def test_being_asked_to_slow_down_names_a_speed() -> None:
    (said,) = advice([*many_done(), *failed(Kind.RATE_LIMIT)])
    assert "Set limits.starts_per_second to 1 (now unset)" in said, "20 in 10 s: half of 2 a second"
    (said,) = advice([*many_done(), *failed(Kind.RATE_LIMIT)], limits={"starts_per_second": 0.5})
    assert "to 0.2 (now 0.5)" in said


def test_waiting_long_for_the_source_is_said_even_when_nothing_failed() -> None:
    waited = figures(100, waited_seconds={"rate_limit": 400.0})
    (said,) = advice(many_done(), figures=waited)
    assert said.startswith("Workers waited 6 min 40 s") and "starts_per_second to 0.5" in said
    assert advice(many_done(), figures=figures(100, waited_seconds={"rate_limit": 90.0})) == ()


@pytest.mark.parametrize("kind", [Kind.NETWORK, Kind.TIMEOUT, Kind.API_ERROR, Kind.DATABASE, Kind.CORRUPT])
def test_passing_faults_and_damaged_photos_are_worth_a_retry(kind: Kind) -> None:
    (said,) = advice([*many_done(), *failed(kind)])
    assert RETRY in said and "1 photo" in said


def test_a_blocked_address_prints_the_setting_that_would_allow_it() -> None:
    message = "https://x.example is not allowed. Add x.example to BATCHLAB_HTTP_HOSTS."
    (said,) = advice([*many_done(), *failed(Kind.BLOCKED_URL, 3, message)])
    assert said.count("Add x.example to BATCHLAB_HTTP_HOSTS.") == 1 and "3 photos" in said


def test_every_kind_of_failure_has_its_advice() -> None:
    for kind in Kind:
        (said,) = advice([*many_done(), *failed(kind)])
        assert "1 photo" in said and "{" not in said, kind
    assert set(BY_KIND) <= set(Kind)


def test_over_thirty_percent_failing_asks_for_one_cause() -> None:
    assert advice([*many_done(6), *failed(Kind.TIMEOUT, 4)])[0].startswith(
        "40 % failed, most often as timeout"
    )
    assert len(advice([*many_done(7), *failed(Kind.TIMEOUT, 3)])) == 1


def test_max_failures_says_what_it_was() -> None:
    said = advice(
        [*many_done(), missing(98), left(99)],
        limits={"max_failures": "5%"},
        stopped="max_failures",
        error="x",
    )
    assert "limits.max_failures (5%)" in said[0]
    assert said[1] == f"Never started: 1 photo. {RETRY} takes them."


def test_a_deadline_says_what_to_raise() -> None:
    said = advice([*many_done(), left(99)], limits={"deadline": "1h"}, stopped="deadline")
    assert said[0] == "The deadline came first: raise limits.deadline (1h) or limits.workers (5)."


def test_too_large_photos_point_to_the_limit_in_the_message() -> None:
    assert "limit that the message names" in advice([*many_done(), *failed(Kind.TOO_LARGE)])[0]


def test_a_slow_source_is_named_when_there_was_much_to_move() -> None:
    (said,) = advice(many_done(), figures=figures(200, downloaded_bytes=40_000_000))
    assert said.startswith("The source sends only 0.20 MB/s")
    assert advice(many_done(1), figures=figures(200, downloaded_bytes=2_000_000)) == ()


def test_an_item_of_more_than_three_minutes_is_named() -> None:
    slow = Done(key="slow.jpg", seconds=200, size_bytes=1)
    (said,) = advice([*many_done(), slow])
    assert said == "slow.jpg took 3 min 20 s (1.0 s is usual): look at its source."


def test_memory_near_its_limit_is_a_warning() -> None:
    machine = Environment(memory_mib=1000)
    (said,) = advice(many_done(), figures=figures(peak_rss_mib=850), environment=machine)
    assert "850 of 1,000 MiB" in said and "limits.workers (now 5)" in said
    assert advice(many_done(), figures=figures(peak_rss_mib=849), environment=machine) == ()


def test_many_interruptions_are_remarked() -> None:
    (said,) = advice(many_done(), figures=figures(runs=4, interrupted=3))
    assert "4 runs, 3 of them interrupted" in said


def test_items_of_other_types_are_called_items() -> None:
    document = JobDocument(id=ID, type="shout", output="s3://b/x")
    outcomes: list[Outcome] = [Done(key="a"), Failed(key="b", kind=Kind.BUG, message="x")]
    got = build_report(document, [*outcomes, Skipped(key="c", reason="stage")], [], figures())
    assert got.recommendations == ("A defect in the job type: 1 item. Please report it with the log.",)


def test_of_addresses_refused_for_one_reason_one_is_shown() -> None:
    refused: list[Outcome] = [
        Failed(
            key=name, kind=Kind.BLOCKED_URL, message=f"file:///x/{name} is not allowed: it is odd; rename it."
        )
        for name in ("a", "b")
    ]
    said = advice([*many_done(), *refused])[0]
    assert said.startswith("Not allowed to be read: 2 photos. ")
    assert said.count("rename it") == 1
