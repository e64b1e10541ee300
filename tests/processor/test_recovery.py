"""What a new run concludes from the runs before it."""

from __future__ import annotations

from batchlab.kinds import Kind
from batchlab_processor.recovery import look_back


def test_a_first_run_suspects_nobody() -> None:
    history = look_back({}, "", ())
    assert (history.suspects, history.runs, history.plain_crashes) == (frozenset(), 0, 0)


def test_after_a_crash_the_items_that_may_have_been_in_flight_are_suspects() -> None:
    history = look_back({"r1": {"in_flight": ["a", "b", "c"]}}, "r1:SIGSEGV", {"b"})
    assert history.suspects == {"a", "c"}
    assert history.convicted == {}


def test_a_death_of_unknown_cause_never_counts() -> None:
    history = look_back({"r1": {"in_flight": ["a"]}, "r2": {"in_flight": ["a"]}}, "", ())
    assert history.suspects == frozenset()
    assert history.runs == 2


def test_a_second_death_alone_convicts_the_item() -> None:
    runs = {"r1": {"in_flight": ["a", "b"]}, "r2": {"in_flight": ["a"], "deaths": {"a": 1, "b": 1}}}
    history = look_back(runs, "r2:SIGSEGV", ())
    assert history.convicted["a"].kind is Kind.CRASH
    assert "SIGSEGV" in history.convicted["a"].message
    assert history.suspects == {"b"}


def test_a_second_death_in_company_convicts_nobody() -> None:
    runs = {"r1": {"in_flight": ["a", "b"]}, "r2": {"in_flight": ["a", "b"], "deaths": {"a": 1, "b": 1}}}
    history = look_back(runs, "r2:SIGBUS", ())
    assert history.convicted == {}
    assert history.suspects == {"a", "b"}


def test_deaths_are_remembered_over_a_run_that_was_merely_lost() -> None:
    runs = {
        "r1": {"in_flight": ["a"]},
        "r2": {"in_flight": [], "deaths": {"a": 1}},
        "r3": {"deaths": {"a": 1}},
    }
    assert look_back(runs, "", ()).suspects == {"a"}


def test_crashes_with_nothing_in_flight_are_counted_by_themselves() -> None:
    runs = {"r1": {"in_flight": [], "plain_crashes": 1}}
    assert look_back(runs, "r1:SIGABRT", ()).plain_crashes == 2
