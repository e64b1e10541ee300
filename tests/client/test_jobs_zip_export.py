"""The params of zip-export."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from batchlab.jobs.zip_export import ItemSpec, Manifest, Prefix, ZipExportParams, position_key

A = "https://x.example/a.jpg"
B = "https://x.example/b.jpg"


def read(**params: Any) -> ZipExportParams:
    return ZipExportParams.model_validate(params)


def test_items_are_urls_objects_manifests_and_prefixes() -> None:
    params = read(
        items=[
            A,
            {"url": B, "name": "Kiss.jpg", "id": 17, "size": 5, "takenAt": "2026-06-06T14:30:00+02:00"},
            {"manifest": "s3://bucket/list.csv.gz", "sha256": "AB" * 32, "count": 5_000},
            {"prefix": "s3://bucket/photos/"},
        ]
    )
    moment = datetime(2026, 6, 6, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    assert params.items == (
        ItemSpec(url=A),
        ItemSpec(url=B, name="Kiss.jpg", id="17", size=5, taken_at=moment),
        Manifest(manifest="s3://bucket/list.csv.gz", sha256="ab" * 32, count=5_000),
        Prefix(prefix="s3://bucket/photos/"),
    )
    assert params.name == "album.zip"


def test_positions_are_left_to_the_plan_when_a_manifest_is_still_to_be_opened() -> None:
    assert len(read(items=[A, {"url": B, "id": "0"}, {"manifest": A}]).items) == 3
    with pytest.raises(ValidationError, match="already the key of"):
        read(items=[{"url": A, "id": "0"}, {"url": B, "id": "0"}, {"manifest": A}])


@pytest.mark.parametrize(
    ("position", "count", "key"), [(0, 1, "0"), (9, 10, "9"), (9, 11, "09"), (17, 5_000, "0017")]
)
def test_a_position_is_as_wide_as_the_last_one(position: int, count: int, key: str) -> None:
    assert position_key(position, count) == key


def test_both_spellings_of_a_field_mean_the_same() -> None:
    camel = read(items=[{"url": A, "takenAt": "2026-06-06T12:00:00Z"}], passwordRef="gala")
    snake = read(items=[{"url": A, "taken_at": "2026-06-06T12:00:00Z"}], password_ref="gala")
    assert camel == snake
    item = camel.items[0]
    assert isinstance(item, ItemSpec)
    assert item.taken_at == datetime(2026, 6, 6, 12, tzinfo=UTC)


def test_the_same_url_may_come_twice() -> None:
    assert len(read(items=[A, A]).items) == 2


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([{"url": A, "id": "x"}, B, {"url": B, "id": "x"}], '"x" is already the key of items[0]'),
        ([{"url": A, "id": 7}, {"url": B, "id": "7"}], '"7" is already the key of items[0]'),
        ([A, {"url": B, "id": "0"}], '"0" is already the key of items[0]'),
        ([{"url": A, "id": "1"}, B], '"1" is already the key of items[0]'),
    ],
)
def test_two_items_with_one_key_are_an_error_that_names_both(items: list[Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(items=items)
    assert [said in error["msg"] for error in caught.value.errors()] == [True]


def test_repeated_ids_and_bad_urls_are_told_together() -> None:
    with pytest.raises(ValidationError) as caught:
        read(items=[{"url": "nowhere", "id": "x"}, {"url": A, "id": "x"}])
    assert [error["loc"] for error in caught.value.errors()] == [
        ("items", 0, "ItemSpec", "url"),
        ("items", 1, "id"),
    ]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"items": []},
        {"items": [A] * 100_001},
        {"items": A},
        {"items": {"url": A}},
        {"items": [7]},
        {"items": [None]},
        {"items": [[A]]},
        {"items": [{"name": "a.jpg"}]},
        {"items": [{"url": A, "size": -1}]},
        {"items": [{"url": A, "size": "5"}]},
        {"items": [{"url": A, "id": ""}]},
        {"items": [{"url": A, "id": True}]},
        {"items": [{"url": A, "id": "a\nb"}]},
        {"items": [{"url": A, "name": ""}]},
        {"items": [{"url": A, "takenAt": "2026-06-06"}]},
        {"items": [{"url": A, "takenAt": 1780000000}]},
        {"items": [{"url": A, "takenAt": "0001-01-01T00:00:00Z"}]},
        {"items": [{"url": A, "takenAt": "x", "taken_at": "y"}]},
        {"items": [{"url": A, "manifest": A}]},
        {"items": [{"manifest": A, "count": 0}]},
        {"items": [{"manifest": A, "sha256": "abc"}]},
        {"items": [{"prefix": "https://x.example/photos/"}]},
        {"items": [A], "name": "../album.zip"},
        {"items": [A], "name": "album.rar"},
        {"items": [A], "name": "album.zip\n"},
        {"items": [A], "compress": True},
        {"items": [A], "compress": "always"},
        {"items": [A], "dates": "exif"},
        {"items": [A], "sink": "other"},
        {"items": [A], "sink": "streaming", "max_archive_bytes": "2 MiB"},
        {"items": [A], "password": "s3cr3t"},
        {"items": [A], "reuse": "yes"},
        {"items": [A], "reuse": True, "compress": "text"},
        {"items": [A], "max_archive_bytes": 5},
    ],
)
def test_what_this_version_cannot_do_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**params)


def test_a_moment_without_a_zone_is_kept_as_wall_time() -> None:
    item = read(items=[{"url": A, "takenAt": "2026-06-06T14:30:00"}]).items[0]
    assert isinstance(item, ItemSpec)
    assert item.model_dump(mode="json", exclude_unset=True) == {"url": A, "taken_at": "2026-06-06T14:30:00"}
