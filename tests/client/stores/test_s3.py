"""What only a store over a network can get wrong: lost answers, busy servers, refusals, clocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from batchlab import aws
from batchlab.errors import Denied, ServiceError, UsageError
from batchlab.settings import Settings
from batchlab.store import AlreadyExists, Store, VersionConflict
from batchlab.stores import open_store
from batchlab.stores.s3 import S3Store
from tests import servers
from tests.client.stores.lossy import Lossy, lossy, on


@dataclass
class Through:
    """A store that is reached through the proxy, and the same one reached directly."""

    store: Store
    direct: Store
    proxy: Lossy
    bucket: str
    naps: list[float]


@pytest.fixture(params=["moto_s3", "seaweedfs"])
def through(request: pytest.FixtureRequest) -> Iterator[Through]:
    server: servers.S3Server = request.getfixturevalue(request.param)
    naps: list[float] = []
    with server.bucket() as bucket, lossy(server.endpoint_url) as proxy:
        client = aws.s3_client("r2", _settings(server, proxy.url), attempts=1)
        store = S3Store(client, bucket, "deep/prefix", scheme="r2", sleep=naps.append)
        direct = open_store(f"r2://{bucket}/deep/prefix", settings=_settings(server))
        yield Through(store, direct, proxy, bucket, naps)
        client.close()


def _settings(server: servers.S3Server, url: str = "") -> Settings:
    return Settings(
        r2_endpoint=url or server.endpoint_url,
        r2_access_key=server.access_key,
        r2_secret_key=server.secret_key,
    )


def _body(store: Store, name: str) -> object:
    found = store.read(name)
    return None if found is None else found.body


def test_a_create_whose_answer_was_lost_is_known_to_have_won(through: Through) -> None:
    through.proxy.faults = [on("PUT", "drop")]
    version = through.store.create("keys/a.json", {"mine": True})
    assert _body(through.direct, "keys/a.json") == {"mine": True}
    assert [method for method, _ in through.proxy.requests] == ["PUT", "PUT", "GET"]
    through.store.replace("keys/a.json", {"mine": 2}, version)


def test_a_create_that_came_second_is_told_so_although_an_answer_was_lost(through: Through) -> None:
    through.direct.create("keys/a.json", {"theirs": True})
    through.proxy.faults = [on("PUT", "drop")]
    with pytest.raises(AlreadyExists):
        through.store.create("keys/a.json", {"theirs": True})
    assert _body(through.direct, "keys/a.json") == {"theirs": True}


def test_a_replace_whose_answer_was_lost_is_known_to_have_won(through: Through) -> None:
    version = through.direct.create("status.json", {"turn": 0})
    through.proxy.faults = [on("PUT", "drop")]
    second = through.store.replace("status.json", {"turn": 1}, version)
    through.direct.replace("status.json", {"turn": 2}, second)


def test_a_replace_that_was_itself_replaced_before_its_answer_is_a_conflict(through: Through) -> None:
    version = through.direct.create("status.json", {"turn": 0})

    def somebody_else() -> None:
        found = through.direct.read("status.json")
        assert found is not None and found.body == {"turn": 1}
        through.direct.replace("status.json", {"turn": 2}, found.version)

    through.proxy.faults, through.proxy.after = [on("PUT", "drop")], somebody_else
    with pytest.raises(VersionConflict):
        through.store.replace("status.json", {"turn": 1}, version)
    assert _body(through.direct, "status.json") == {"turn": 2}


def test_a_segment_whose_answer_was_lost_is_there_once(through: Through) -> None:
    through.proxy.faults = [on("PUT", "drop"), on("PUT", "drop")]
    through.store.append("ledger/r-0.jsonl", [{"key": "a"}])
    assert through.direct.lines("ledger/r-0.jsonl") == [{"key": "a"}]
    with pytest.raises(AlreadyExists):
        through.store.append("ledger/r-0.jsonl", [{"key": "a"}])


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_a_busy_server_is_asked_again_with_pauses(through: Through, status: int) -> None:
    through.proxy.faults = [on("PUT", status)] * 3 + [on("GET", status)]
    through.store.create("keys/a.json", {"a": 1})
    assert _body(through.store, "keys/a.json") == {"a": 1}
    assert len(through.naps) == 4
    assert all(0 <= nap <= 0.2 * 2**5 for nap in through.naps)


def test_a_body_that_breaks_off_is_read_again(through: Through) -> None:
    through.store.create("plan.json", {"text": "x" * 10_000})
    through.proxy.faults = [on("GET", "cut"), on("GET", "cut")]
    assert _body(through.store, "plan.json") == {"text": "x" * 10_000}


def test_a_conflict_that_never_ends_is_no_winner_and_no_loser(through: Through) -> None:
    through.proxy.faults = [on("PUT", 409)] * 20
    with pytest.raises(ServiceError, match="409"):
        through.store.create("keys/a.json", {})


def test_a_server_that_stays_away_is_a_service_error_in_clear_words(through: Through) -> None:
    through.proxy.faults = [on("GET", "drop")] * 20
    with pytest.raises(ServiceError, match=r"jobs/a/job\.json in r2://"):
        through.store.read("jobs/a/job.json")
    assert len(through.naps) == 5


def test_the_clock_is_the_servers(through: Through, monkeypatch: pytest.MonkeyPatch) -> None:
    far = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    monkeypatch.setattr(
        "batchlab.stores.s3._metadata", lambda _: {"HTTPHeaders": {"date": format_datetime(far)}}
    )
    assert 0 <= (through.store.now() - far).total_seconds() < 5


def test_a_refusal_is_denied_and_shows_no_secret(seaweedfs: servers.S3Server) -> None:
    settings = Settings(
        r2_endpoint=seaweedfs.endpoint_url, r2_access_key=seaweedfs.access_key, r2_secret_key="canary-secret"
    )
    with seaweedfs.bucket() as bucket:
        store = open_store(f"r2://{bucket}", settings=settings)
        with pytest.raises(Denied, match="Check the credentials") as caught:
            store.read("jobs/a/job.json")
    assert "canary" not in str(caught.value)
    assert "X-Amz" not in str(caught.value)


def test_a_bucket_that_is_not_there_is_named(moto_s3: servers.S3Server) -> None:
    store = open_store("r2://no-such-bucket/a", settings=_settings(moto_s3))
    for call in (lambda: store.read("x.json"), lambda: store.create("x.json", {})):
        with pytest.raises(ServiceError, match="no-such-bucket"):
            call()


def test_missing_credentials_are_denied_with_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store("s3://some-bucket/a", settings=Settings(s3_endpoint="http://127.0.0.1:9"))
    with pytest.raises(Denied, match="AWS_PROFILE"):
        store.read("x.json")


def test_r2_without_its_settings_says_which_are_needed() -> None:
    with pytest.raises(UsageError, match="R2_ENDPOINT"):
        open_store("r2://bucket")


def test_folders_that_a_console_left_behind_are_no_documents(moto_s3: servers.S3Server) -> None:
    with moto_s3.bucket() as bucket:
        client = moto_s3.client()
        for key in ("p/", "p/jobs/", "p/jobs/a.json"):
            client.put_object(Bucket=bucket, Key=key, Body=b"{}")
        client.close()
        assert list(open_store(f"r2://{bucket}/p", settings=_settings(moto_s3)).names("")) == ["jobs/a.json"]


@pytest.mark.slow  # a thousand objects are put one by one
def test_more_names_than_one_page_holds_are_all_listed(moto_s3: servers.S3Server) -> None:
    with moto_s3.bucket() as bucket:
        client = moto_s3.client()
        for number in range(1001):
            client.put_object(Bucket=bucket, Key=f"n/{number:04d}", Body=b"{}")
        client.close()
        store = open_store(f"r2://{bucket}", settings=_settings(moto_s3))
        assert list(store.names("n/")) == [f"n/{number:04d}" for number in range(1001)]
        assert list(store.names("n/", after="n/0998")) == ["n/0999", "n/1000"]
