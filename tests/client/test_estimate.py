from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchlab.api import Estimate
from batchlab.authority import Authority
from batchlab.document import load_document
from batchlab.errors import UsageError
from batchlab.estimate import START_SECONDS, estimate
from batchlab.prices import OURS
from batchlab.sampling import spread
from batchlab.settings import Settings
from tests import servers
from tests.client.scripted_endpoint import Asked, Endpoint, Says, scripted_endpoint

ON_AWS = Settings(store="s3://bucket/store")
MB = 1_000_000


@pytest.fixture
def source() -> Iterator[Endpoint]:
    """A web server of photos."""
    with scripted_endpoint() as server:
        yield server


def zip_of(items: list[Any], **fields: Any) -> Any:
    body = {"type": "zip-export", "params": {"items": items}, "output": "s3://bucket/exports", **fields}
    return load_document(body)


def sized(count: int, size: int = 4 * MB) -> list[Any]:
    return [{"url": f"https://example.com/{number}.jpg", "size": size} for number in range(count)]


def allowing(source: Endpoint) -> Authority:
    return Authority.granted(sources=[source.url], allow_local=True)


def ranged(size: int) -> Says:
    return Says(status=206, headers={"Content-Range": f"bytes 0-511/{size}"})


def unknown_of(found: Estimate) -> str:
    return "\n".join(found.unknown)


def test_given_sizes_are_added_up_and_nobody_is_asked() -> None:
    found = estimate(zip_of(sized(5000)), ON_AWS)
    assert (found.items, found.size_bytes, found.sampled) == (5000, 20_000 * MB, 0)
    assert found.unknown == ()


def test_time_is_that_of_the_downloads_and_more_workers_or_machines_shorten_it() -> None:
    items = sized(1200)
    alone = estimate(zip_of(items), ON_AWS).seconds
    assert alone == pytest.approx(START_SECONDS + 1200 * (0.15 + 4 / 12) / 5, abs=0.1)
    assert estimate(zip_of(items, limits={"workers": 10}), ON_AWS).seconds == pytest.approx(
        START_SECONDS + (alone - START_SECONDS) / 2, abs=0.1
    )
    assert estimate(zip_of(items, shards=4), ON_AWS).seconds == pytest.approx(
        START_SECONDS + (alone - START_SECONDS) / 4, abs=0.1
    )


def test_a_machine_moves_no_more_than_it_can_and_a_pace_is_kept() -> None:
    fast = estimate(zip_of(sized(1000, 25 * MB), limits={"workers": 64}), ON_AWS)
    assert fast.seconds == pytest.approx(START_SECONDS + 25_000 / 250)
    paced = estimate(zip_of(sized(600), limits={"starts_per_second": 2.0}), ON_AWS)
    assert paced.seconds == pytest.approx(START_SECONDS + 300)


def test_dollars_are_machines_requests_and_what_leaves_aws() -> None:
    document = zip_of(sized(1000))
    within = estimate(document, ON_AWS)
    prices = json.loads(OURS.read_text())
    assert within.seconds is not None
    hours = within.seconds / 3600
    machine = 2 * prices["spot_vcpu_hour"] + prices["public_address_hour"]
    machine += prices["disk_gib"] * prices["disk_gib_month"] / 730
    puts = (-(-4_000 * MB // 8_388_608) + 2) * prices["s3_put_1000"] / 1000
    assert within.dollars == pytest.approx(hours * machine + puts, abs=0.0001)
    away = estimate(zip_of(sized(1000), output="r2://bucket/exports"), ON_AWS)
    assert away.dollars is not None
    assert away.dollars == pytest.approx(0.36 + within.dollars, abs=0.001)
    express = estimate(zip_of(sized(1000), resources={"queue": "express", "vcpus": 4}), ON_AWS)
    assert express.dollars is not None
    assert express.dollars > 1.5 * within.dollars


def test_reading_objects_costs_two_requests_each() -> None:
    items = [{"url": f"s3://photos/{number}.jpg", "size": 1000} for number in range(5000)]
    more = estimate(zip_of(items), ON_AWS).dollars
    less = estimate(zip_of(sized(5000, 1000)), ON_AWS).dollars
    assert more is not None
    assert less is not None
    assert more - less == pytest.approx(10 * 0.0004, abs=0.0002)


def test_on_this_machine_it_costs_nothing() -> None:
    assert estimate(zip_of(sized(3)), Settings(store="file:///store")).dollars == 0


def test_photos_without_a_size_are_sampled_with_512_bytes_each(source: Endpoint) -> None:
    sizes = {f"/{number}.jpg": (number % 2 + 1) * MB for number in range(100)}
    source.answers(lambda asked: ranged(sizes[asked.path]))
    found = estimate(zip_of([f"{source.url}{path}" for path in sizes]), ON_AWS, authority=allowing(source))
    assert (found.items, found.sampled) == (100, 20)
    assert found.size_bytes == pytest.approx(150 * MB, rel=0.1)
    assert len({asked.path for asked in source.asked}) == 20
    assert {asked.headers["range"] for asked in source.asked} == {"bytes=0-511"}
    assert any("the mean of 20" in each for each in found.assumptions)


def test_a_server_without_ranges_says_the_length_and_an_empty_photo_is_no_sample(source: Endpoint) -> None:
    def answer(asked: Asked) -> Says:
        if asked.path == "/0.jpg":
            return Says(status=416, headers={"Content-Range": "bytes */0"})
        return Says("x" * 998)  # 1,000 bytes as JSON

    source.answers(answer)
    found = estimate(
        zip_of([f"{source.url}/0.jpg", f"{source.url}/1.jpg"]), ON_AWS, authority=allowing(source)
    )
    assert (found.size_bytes, found.unknown) == (2000, ("1 of 2 looked at did not say how large they are.",))


def test_sources_that_may_not_be_read_are_not_asked(source: Endpoint) -> None:
    source.answers(ranged(MB))
    found = estimate(zip_of([f"{source.url}/1.jpg"]), ON_AWS)
    assert source.asked == []
    assert (found.items, found.size_bytes, found.seconds, found.dollars) == (1, None, None, None)
    assert "1 of 1 looked at did not say" in unknown_of(found)
    assert "What it costs" in unknown_of(found)


def test_objects_in_a_bucket_are_sampled_too(
    moto_s3: servers.S3Server, moto_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = moto_s3.client()
    for number in range(3):
        client.put_object(Bucket=moto_bucket, Key=f"{number}.jpg", Body=b"x" * 1000)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto_s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto_s3.secret_key)
    settings = Settings(store=f"s3://{moto_bucket}/store", s3_endpoint=moto_s3.endpoint_url)
    authority = Authority.granted(sources=[f"s3://{moto_bucket}/"])
    items = [f"s3://{moto_bucket}/{number}.jpg" for number in range(3)]
    assert estimate(zip_of(items), settings, authority=authority).size_bytes == 3000


def test_a_manifest_with_a_count_is_counted_and_what_cannot_be_is_named() -> None:
    counted = {"manifest": "s3://bucket/photos.csv", "count": 7000}
    found = estimate(zip_of([*sized(100), counted]), ON_AWS)
    assert (found.items, found.size_bytes) == (7100, 7100 * 4 * MB)
    found = estimate(
        zip_of([*sized(1), {"manifest": "s3://bucket/more.csv"}, {"prefix": "s3://bucket/event/"}]), ON_AWS
    )
    assert (found.items, found.size_bytes, found.seconds, found.dollars) == (None, None, None, None)
    assert "a manifest without a count" in unknown_of(found)
    assert "below a prefix" in unknown_of(found)


def test_other_job_types_say_what_only_they_know() -> None:
    assert estimate(load_document({"type": "self-test"}), ON_AWS).seconds == START_SECONDS
    assert "only its plan knows" in unknown_of(estimate(load_document({"type": "cleanup"}), ON_AWS))
    params: dict[str, Any] = {"domain": "marathon", "manifest": "s3://bucket/runners.csv"}
    sheets = {"type": "contact-sheets", "params": params, "output": "s3://bucket/sheets"}
    assert "participants" in unknown_of(estimate(load_document(sheets), ON_AWS))
    params["only_participant_refs"] = ["1", "2"]
    found = estimate(load_document(sheets), ON_AWS)
    assert found.items == 2
    assert found.seconds is not None


def test_the_price_table_is_dated_and_can_be_another(tmp_path: Path) -> None:
    mine = tmp_path / "prices.json"
    table = json.loads(OURS.read_text())
    mine.write_text(json.dumps(table | {"priced_at": "2027-01-31", "egress_gb": 1.0}))
    found = estimate(zip_of(sized(1000), output="r2://bucket/x"), ON_AWS, prices=mine)
    assert found.priced_at == "2027-01-31"
    assert found.dollars is not None
    assert found.dollars > 4
    assert any("2027-01-31" in each for each in found.assumptions)


@pytest.mark.parametrize("text", ["", "[]", '{"egress": 1}', None])
def test_what_is_no_price_table_is_said(tmp_path: Path, text: str | None) -> None:
    mine = tmp_path / "prices.json"
    if text is not None:
        mine.write_text(text)
    with pytest.raises(UsageError, match=r"prices\.json"):
        estimate(zip_of(sized(1)), ON_AWS, prices=mine)


def test_a_sample_is_spread_over_the_whole_list() -> None:
    assert spread(3) == [0, 1, 2]
    positions = spread(5000)
    assert (len(set(positions)), positions[0], positions[-1]) == (20, 0, 4999)
