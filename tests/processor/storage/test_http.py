"""Every bad source ends in the right kind, and a good one byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batchlab.authority import Authority
from batchlab.connections import Patience
from batchlab.guard import Guard
from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage.base import WriteOptions
from batchlab_processor.storage.http import HttpScheme
from batchlab_processor.storage.statuses import retry_after_seconds
from tests.sources import Source, hostile_source, photo, redirect_path

NOW = datetime(2025, 6, 10, 15, 0, tzinfo=UTC)
IMPATIENT = Patience(connect_seconds=2, total_seconds=5, stall_seconds=0.3)


@pytest.fixture(params=["http", "https"])
def source(request: pytest.FixtureRequest) -> Iterator[Source]:
    with hostile_source(tls=request.param == "https") as running:
        yield running


@pytest.fixture
def scheme(source: Source) -> Iterator[HttpScheme]:
    authority = Authority.granted(sources=[source.url("/")], allow_local=True)
    with Guard.of(authority, tls=source.trust, patience=IMPATIENT) as guard:
        yield HttpScheme(guard, now=lambda: NOW)


def read(scheme: HttpScheme, url: str, **options: object) -> bytes:
    with scheme.open(url, **options) as reader:  # type: ignore[arg-type]
        return reader.read()


def kind_of_reading(scheme: HttpScheme, url: str, **options: object) -> Kind:
    with pytest.raises(ItemError) as raised:
        read(scheme, url, **options)
    assert "?" not in raised.value.message.replace(" ?", "")
    return raised.value.kind


def kind_of_probing(scheme: HttpScheme, url: str) -> Kind:
    with pytest.raises(ItemError) as raised:
        scheme.probe(url)
    return raised.value.kind


# -- good sources ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "photo",
        "chunked",
        "no-length",
        "no-ranges",
        "weak",
        "bare",
        "get-only",
        "hash",
        "gzip",
        "stale",
    ],
)
def test_a_good_photo_is_read_byte_for_byte(source: Source, scheme: HttpScheme, path: str) -> None:
    assert read(scheme, source.url(f"/{path}/a.jpg?size=70001")) == photo("a.jpg", 70_001)


def test_a_probe_tells_size_magic_date_and_type(source: Source, scheme: HttpScheme) -> None:
    probed = scheme.probe(source.url("/photo/a.jpg?size=70001"))
    assert (probed.size_bytes, probed.content_type, probed.ranges) == (70_001, "image/jpeg", True)
    assert probed.head == photo("a.jpg", 70_001)[:512]
    assert probed.modified == datetime(2025, 6, 10, 14, 30, tzinfo=UTC)
    assert probed.validator is not None and probed.validator.startswith('"')


def test_a_photo_of_fewer_bytes_than_a_probe_asks_for(source: Source, scheme: HttpScheme) -> None:
    probed = scheme.probe(source.url("/photo/small.jpg?size=100"))
    assert (probed.size_bytes, probed.head) == (100, photo("small.jpg", 100))


def test_a_url_presigned_for_get_only_is_probed_without_head(source: Source, scheme: HttpScheme) -> None:
    assert scheme.probe(source.url("/get-only/a.jpg")).size_bytes == 4000
    assert {seen.method for seen in source.requests} == {"GET"}


def test_without_ranges_the_probe_takes_the_size_from_the_length(source: Source, scheme: HttpScheme) -> None:
    probed = scheme.probe(source.url("/no-ranges/a.jpg?size=5000000"))
    assert (probed.size_bytes, probed.ranges, len(probed.head)) == (5_000_000, False, 512)


@pytest.mark.parametrize("path", ["chunked", "no-length", "gzip"])
def test_a_size_that_nobody_knows_is_none(source: Source, scheme: HttpScheme, path: str) -> None:
    probed = scheme.probe(source.url(f"/{path}/a.jpg"))
    assert (probed.size_bytes, probed.ranges, probed.head) == (None, False, photo("a.jpg")[:512])


@pytest.mark.parametrize("path", ["photo", "no-ranges", "chunked", "weak", "gzip"])
@pytest.mark.parametrize(("start", "end"), [(0, 10), (100, 2000), (3990, None), (3999, 4000)])
def test_a_part_is_that_part_whether_the_server_knows_ranges_or_not(
    source: Source, scheme: HttpScheme, path: str, start: int, end: int | None
) -> None:
    with scheme.open(source.url(f"/{path}/a.jpg"), start=start, end=end) as reader:
        given = reader.read()
        assert given == photo("a.jpg")[start:end]
        assert reader.size_bytes in (None, len(given)) or path in ("chunked", "gzip")


@pytest.mark.parametrize("path", ["photo", "no-ranges", "weak"])
def test_a_part_beyond_the_end_ends_at_the_end(source: Source, scheme: HttpScheme, path: str) -> None:
    with scheme.open(source.url(f"/{path}/a.jpg"), start=100, end=9999) as reader:
        assert reader.size_bytes == 3900 and reader.read() == photo("a.jpg")[100:]


def test_readinto_fills_small_and_large_buffers(source: Source, scheme: HttpScheme) -> None:
    for size in (1, 7, 4096, 100_000):
        got = bytearray()
        buffer = memoryview(bytearray(size))
        with scheme.open(source.url("/photo/a.jpg?size=9000")) as reader:
            assert reader.size_bytes == 9000
            while count := reader.readinto(buffer):
                got += buffer[:count]
        assert got == photo("a.jpg", 9000)


def test_a_strong_etag_is_sent_as_if_match_and_a_weak_one_is_not(source: Source, scheme: HttpScheme) -> None:
    for path in ("photo", "weak"):
        url = source.url(f"/{path}/a.jpg")
        assert read(scheme, url, validator=scheme.probe(url).validator) == photo("a.jpg")
    strong, weak = (seen for seen in source.requests if "range" not in seen.headers)
    assert "if-match" in strong.headers and "if-match" not in weak.headers


def test_connections_are_used_again(source: Source, scheme: HttpScheme) -> None:
    for number in range(20):
        url = source.url(f"/photo/{number}.jpg")
        assert read(scheme, url, validator=scheme.probe(url).validator) == photo(f"{number}.jpg")
    assert source.connections == 1


def test_a_kept_connection_that_died_is_replaced_without_a_failure(
    source: Source, scheme: HttpScheme
) -> None:
    for number in range(5):
        assert read(scheme, source.url(f"/stale/{number}.jpg")) == photo(f"{number}.jpg")


def test_a_redirect_is_followed(source: Source, scheme: HttpScheme) -> None:
    assert read(scheme, source.url("/redirects/5")) == photo("end.jpg")
    assert scheme.probe(source.url("/redirects/5")).size_bytes == 4000


# -- bad sources -------------------------------------------------------------------------------------------

BAD = [
    ("/short/a.jpg", Kind.NETWORK),
    ("/cut/a.jpg", Kind.NETWORK),
    ("/chunked/a.jpg?cut=1", Kind.NETWORK),
    ("/no-length/a.jpg?cut=1", Kind.NETWORK),
    ("/garbage/a.jpg", Kind.NETWORK),
    ("/longer/a.jpg", Kind.CORRUPT),
    ("/gzip/a.jpg?cut=1", Kind.CORRUPT),
    ("/gzip/a.jpg?junk=1", Kind.CORRUPT),
    ("/hash/a.jpg?wrong=1", Kind.CORRUPT),
    ("/html/a.jpg", Kind.CORRUPT),
    ("/html/17", Kind.CORRUPT),
    ("/html-as-jpeg/a.jpg", Kind.CORRUPT),
    ("/empty/a.jpg", Kind.CORRUPT),
    ("/empty-416/a.jpg", Kind.CORRUPT),
    ("/slow/a.jpg", Kind.TIMEOUT),
    ("/slow-headers/a.jpg?interval=0.1", Kind.TIMEOUT),
    ("/stuck/a.jpg", Kind.TIMEOUT),
    ("/status/400/a.jpg", Kind.VALIDATION),
    ("/status/401/a.jpg", Kind.AUTH),
    ("/status/403/a.jpg", Kind.AUTH),
    ("/status/404/a.jpg", Kind.MISSING),
    ("/status/405/a.jpg", Kind.VALIDATION),
    ("/status/408/a.jpg", Kind.API_ERROR),
    ("/status/409/a.jpg", Kind.API_ERROR),
    ("/status/410/a.jpg", Kind.MISSING),
    ("/status/418/a.jpg", Kind.VALIDATION),
    ("/status/425/a.jpg", Kind.API_ERROR),
    ("/status/429/a.jpg", Kind.RATE_LIMIT),
    ("/status/500/a.jpg", Kind.API_ERROR),
    ("/status/502/a.jpg", Kind.API_ERROR),
    ("/status/503/a.jpg", Kind.API_ERROR),
    ("/expired/a.jpg", Kind.EXPIRED_URL),
    ("/status/400/a.jpg?body=%3CCode%3EExpiredToken%3C/Code%3E", Kind.EXPIRED_URL),
    ("/status/403/a.jpg?X-Amz-Date=20250610T130000Z&X-Amz-Expires=3600", Kind.EXPIRED_URL),
    ("/status/403/a.jpg?X-Amz-Date=20250610T143000Z&X-Amz-Expires=3600", Kind.AUTH),
    ("/status/400/a.jpg?X-Goog-Date=20250610T130000Z&X-Goog-Expires=60", Kind.EXPIRED_URL),
    ("/status/403/a.jpg?Expires=1749560400&Signature=x", Kind.EXPIRED_URL),
    ("/status/403/a.jpg?Expires=1893456000&Signature=x", Kind.AUTH),
    ("/loop", Kind.BLOCKED_URL),
    ("/redirects/6", Kind.BLOCKED_URL),
    (redirect_path("https://elsewhere.example/a.jpg"), Kind.BLOCKED_URL),
    (redirect_path("file:///etc/passwd"), Kind.BLOCKED_URL),
    (redirect_path("/status/404/a.jpg"), Kind.MISSING),
    (redirect_path("/html/login"), Kind.CORRUPT),
]


@pytest.mark.parametrize(("path", "kind"), BAD, ids=[path for path, _ in BAD])
def test_a_bad_source_ends_in_the_right_kind(
    source: Source, scheme: HttpScheme, path: str, kind: Kind
) -> None:
    assert kind_of_reading(scheme, source.url(path)) is kind


PROBED = [row for row in BAD if row[1] not in (Kind.NETWORK, Kind.TIMEOUT, Kind.CORRUPT)] + [
    ("/html/a.jpg", Kind.CORRUPT),
    ("/html-as-jpeg/a.jpg", Kind.CORRUPT),
    ("/empty/a.jpg", Kind.CORRUPT),
    ("/empty-416/a.jpg", Kind.CORRUPT),
    ("/garbage/a.jpg", Kind.NETWORK),
    ("/short/a.jpg?size=600", Kind.NETWORK),
    ("/stuck/a.jpg", Kind.TIMEOUT),
]


@pytest.mark.parametrize(("path", "kind"), PROBED, ids=[path for path, _ in PROBED])
def test_a_probe_tells_a_bad_source_by_its_first_bytes(
    source: Source, scheme: HttpScheme, path: str, kind: Kind
) -> None:
    assert kind_of_probing(scheme, source.url(path)) is kind


def _refusing(status: int, headers: dict[str, str]) -> Any:
    def behave(to: Any) -> None:
        if to.headers.get("Range"):
            to.answer(status, b"x" * 20, "text/plain", **headers)
        else:
            to.good(photo("a.jpg", 300))

    return behave


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {}),
        (206, {"Content_Range": "bytes 5-24/300"}),
        (206, {"Content_Range": "bytes 0-19/300"}),
        (416, {}),
        (416, {"Content_Range": "bytes */300"}),
        (501, {}),
    ],
)
def test_a_server_that_botches_ranges_is_asked_for_the_whole(
    source: Source, scheme: HttpScheme, status: int, headers: dict[str, str]
) -> None:
    source.add("botched", _refusing(status, headers))
    probed = scheme.probe(source.url("/botched/a.jpg"))
    assert (probed.size_bytes, probed.head, probed.ranges) == (300, photo("a.jpg", 300), False)


def test_a_part_other_than_the_one_asked_for_is_corrupt(source: Source, scheme: HttpScheme) -> None:
    assert kind_of_reading(scheme, source.url("/wrong-range/a.jpg"), start=10, end=20) is Kind.CORRUPT


def test_a_part_that_begins_early_is_corrupt_though_all_else_fits(source: Source, scheme: HttpScheme) -> None:
    def early(to: Any) -> None:
        headers = {"Content-Range": "bytes 5-19/4000", "Content-Length": "15", "Content-Type": "image/jpeg"}
        to.head(206, headers)
        to.send(photo("a.jpg")[5:20])

    source.add("early", early)
    assert kind_of_reading(scheme, source.url("/early/a.jpg"), start=10, end=20) is Kind.CORRUPT


@pytest.mark.parametrize("path", ["changed", "changed-quietly"])
@pytest.mark.parametrize("part", [{}, {"start": 5, "end": 50}])
def test_a_source_that_changed_after_the_probe_is_changed(
    source: Source, scheme: HttpScheme, path: str, part: dict[str, int]
) -> None:
    url = source.url(f"/{path}/a.jpg")
    probed = scheme.probe(url)
    assert kind_of_reading(scheme, url, validator=probed.validator, **part) is Kind.CHANGED


def test_a_source_that_shrank_below_the_part_is_changed(source: Source, scheme: HttpScheme) -> None:
    assert kind_of_reading(scheme, source.url("/photo/a.jpg"), start=5000, end=6000) is Kind.CHANGED
    assert kind_of_reading(scheme, source.url("/no-ranges/a.jpg"), start=5000, end=6000) is Kind.CHANGED


def test_a_date_and_size_serve_as_validator_where_there_is_no_strong_etag(
    source: Source, scheme: HttpScheme
) -> None:
    small, large = (scheme.probe(source.url(f"/weak/a.jpg?size={size}")).validator for size in (1000, 2000))
    assert small and large and small != large
    assert kind_of_reading(scheme, source.url("/weak/a.jpg?size=2000"), validator=small) is Kind.CHANGED


def test_a_short_body_without_length_is_told_only_by_who_knows_the_size(
    source: Source, scheme: HttpScheme
) -> None:
    with scheme.open(source.url("/short-no-length/a.jpg")) as reader:
        assert reader.size_bytes is None  # so nobody may take the bytes for the whole without another look
        assert len(reader.read()) == 2000


def test_a_rate_limit_carries_the_wish_of_the_server(source: Source, scheme: HttpScheme) -> None:
    for code, kind in ((429, Kind.RATE_LIMIT), (503, Kind.API_ERROR)):
        with pytest.raises(ItemError) as raised:
            read(scheme, source.url(f"/flaky/{code}/1/{code}.jpg?retry_after=7"))
        assert (raised.value.kind, raised.value.retry_after_seconds) == (kind, 7.0)
        assert read(scheme, source.url(f"/flaky/{code}/1/{code}.jpg?retry_after=7")) == photo(f"{code}.jpg")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("120", 120), ("999999999999999", 3600), ("-5", None), ("", None), ("soon", None), ("1.5", None),
        ("Tue, 10 Jun 2025 15:01:30 GMT", 90), ("Tue, 10 Jun 2025 14:00:00 GMT", 0),
        ("Wed, 10 Jun 2099 14:00:00 GMT", 3600),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(text: str, seconds: float | None) -> None:
    assert retry_after_seconds(text, NOW) == seconds


def test_a_connection_with_stray_bytes_serves_nobody_else(source: Source, scheme: HttpScheme) -> None:
    assert kind_of_reading(scheme, source.url("/longer/a.jpg")) is Kind.CORRUPT
    assert read(scheme, source.url("/photo/b.jpg")) == photo("b.jpg")
    assert source.connections == 2


def test_a_cut_body_is_whole_at_the_next_attempt(source: Source, scheme: HttpScheme) -> None:
    url = source.url("/cut/a.jpg?times=1")
    assert kind_of_reading(scheme, url) is Kind.NETWORK
    assert read(scheme, url) == photo("a.jpg")


def test_messages_carry_no_query(source: Source, scheme: HttpScheme) -> None:
    for path in ("/status/403/a.jpg", "/short/a.jpg", "/html/a.jpg", "/loop", "/stuck/a.jpg"):
        with pytest.raises(ItemError) as raised:
            read(scheme, source.url(path + "?token=canary"))
        assert "canary" not in str(raised.value) and path in str(raised.value)


def test_what_a_web_server_cannot_do_is_said_with_what_can(source: Source, scheme: HttpScheme) -> None:
    url = source.url("/photo/a.jpg")
    for call in (
        lambda: scheme.write(url, WriteOptions()),
        lambda: list(scheme.list(url)),
        lambda: scheme.delete(url),
        lambda: scheme.signed_url(url, timedelta(hours=1)),
    ):
        with pytest.raises(ItemError, match=r"https:// cannot be .*s3://") as raised:
            call()
        assert raised.value.kind is Kind.VALIDATION
    assert source.requests == []
