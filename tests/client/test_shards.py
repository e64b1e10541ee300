"""How shards are written on a command line."""

from __future__ import annotations

import pytest

from batchlab.errors import UsageError
from batchlab.shards import Shard, parse_phase, parse_shard


def test_a_shard_is_written_as_number_and_count() -> None:
    assert parse_shard("2/7", "work") == Shard(2, 7)
    assert str(Shard(2, 7)) == "2/7"
    assert parse_shard("", "collect") == Shard(1, 1)


@pytest.mark.parametrize(
    "text", ["0/7", "8/7", "7", "/7", "2/", "1/1/1", "-1/7", "1 /7", "１/7", "a/b", "02/7"]
)
def test_what_is_no_shard_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="1/7 to 7/7"):
        parse_shard(text, "work")


def test_only_work_is_done_in_shards() -> None:
    with pytest.raises(UsageError, match="only --phase work"):
        parse_shard("1/7", "collect")


def test_phases_have_three_names_and_none_means_all_of_them() -> None:
    assert [parse_phase(text) for text in ("", "plan", "work", "collect")] == [
        "all",
        "plan",
        "work",
        "collect",
    ]
    with pytest.raises(UsageError, match="plan, work and collect"):
        parse_phase("deliver")
