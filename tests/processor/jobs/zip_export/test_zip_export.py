"""zip-export as a user sees it: photos in, one archive out, and an honest word about each that is missing."""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stream_unzip import stream_unzip

from tests.processor.jobs.zip_export.exporting import Export
from tests.sources import Source, photo

Photos = list[str | dict[str, Any]]


def table_of(files: dict[str, bytes]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files["_missing.csv"].decode("utf-8-sig"), newline="")))


def test_every_photo_is_delivered_in_the_order_asked_for(export: Export, source: Source) -> None:
    names = [f"{n:03}.jpg" for n in (3, 1, 2, 9, 5, 4)]
    exported = export([source.url(f"/photo/{name}?size={5000 + n}") for n, name in enumerate(names)])
    assert exported.state == "succeeded"
    assert exported.files == {name: photo(name, 5000 + n) for n, name in enumerate(names)}
    assert list(exported.files) == names
    [artifact] = exported.artifacts
    assert (artifact.name, artifact.members, artifact.size_bytes) == (
        "album.zip",
        6,
        exported.path.stat().st_size,
    )
    assert artifact.content_type == "application/zip"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/status/404/x.jpg", "missing"),
        ("/status/410/x.jpg", "missing"),
        ("/status/403/x.jpg", "auth"),
        ("/html/x.jpg", "corrupt"),
        ("/html-as-jpeg/x.jpg", "corrupt"),
        ("/empty/x.jpg", "corrupt"),
        ("/short/x.jpg", "network"),
        ("/longer/x.jpg", "corrupt"),
    ],
)
def test_a_photo_that_cannot_be_had_never_stops_the_archive(
    export: Export, source: Source, path: str, kind: str
) -> None:
    exported = export(
        [source.url("/photo/a.jpg"), {"url": source.url(path), "id": "17"}, source.url("/photo/b.jpg")]
    )
    assert exported.state == "partial"
    assert exported.failures == {"17": kind}
    assert list(exported.files) == ["a.jpg", "b.jpg", "_missing.csv"]
    [row] = table_of(exported.files)
    assert (row["name"], row["id"], row["kind"]) == ("x.jpg", "17", kind)
    assert source.origin not in row["reason"]
    assert exported.report.facts["missing"] == {"17": "x.jpg"}
    assert exported.report.sink == export.sink
    assert exported.artifacts[0].members == 2  # photos; the table is no photo


def test_files_are_looked_at_as_closely_as_what_comes_over_the_web(export: Export, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    contents = {
        "a.jpg": photo("a.jpg"),
        "b.jpg": b"",
        "c.jpg": b"<html>sign in</html>",
        "d.txt": b"<html>mine</html>",
    }
    for name, content in contents.items():
        (tmp_path / "photos" / name).write_bytes(content)
    exported = export([{"prefix": (tmp_path / "photos").as_uri()}])
    assert list(exported.files) == ["a.jpg", "d.txt", "_missing.csv"]
    assert exported.failures == {"1": "corrupt", "2": "corrupt"}
    reasons = [row["reason"] for row in table_of(exported.files)]
    assert reasons == ["b.jpg is empty.", "c.jpg is an HTML page, not what its name says."]


def test_there_is_no_table_when_nothing_is_missing(export: Export, source: Source) -> None:
    assert list(export([source.url("/photo/a.jpg")]).files) == ["a.jpg"]


def test_an_empty_archive_is_never_delivered(export: Export, source: Source) -> None:
    exported = export(
        [source.url("/status/404/a.jpg"), source.url("/empty/b.jpg"), source.url("/status/410/c.jpg")]
    )
    assert exported.state == "failed"
    assert exported.artifacts == []
    assert "Missing: 2 missing, 1 corrupt." in exported.error
    assert not list(exported.path.parent.glob("*"))


def test_a_photo_that_fails_once_is_tried_again(export: Export, source: Source) -> None:
    source_urls = [source.url("/flaky/503/2/a.jpg"), source.url("/cut/b.jpg?times=2&size=100000")]
    exported = export(source_urls)
    assert exported.state == "succeeded"
    assert exported.files["b.jpg"] == photo("b.jpg", 100_000)


def test_a_photo_that_changed_after_the_plan_is_taken_after_a_new_look(
    export: Export, source: Source
) -> None:
    exported = export([source.url("/changed/a.jpg")])
    assert exported.files == {"a.jpg": photo("a.jpg", version=1)}


def test_a_photo_that_changed_after_the_plan_is_never_taken_unseen(export: Export, source: Source) -> None:
    exported = export(
        [source.url("/photo/b.jpg"), {"url": source.url("/changed/a.jpg"), "id": "a"}], attempts=1
    )
    assert exported.failures == {"a": "changed"}


@pytest.mark.parametrize(
    "behaviour", ["chunked", "no-length", "no-ranges", "weak", "bare", "get-only", "stale"]
)
def test_odd_but_honest_servers_are_understood(export: Export, source: Source, behaviour: str) -> None:
    exported = export([source.url(f"/{behaviour}/a.jpg?size=400000")])
    assert exported.files == {"a.jpg": photo("a.jpg", 400_000)}


def test_photos_larger_than_a_workers_share_wait_on_disk(export: Export, source: Source) -> None:
    sizes = {"a.jpg": 1_000_000, "b.jpg": 3000, "c.jpg": 2_000_000, "d.jpg": 50_001}
    exported = export(
        [source.url(f"/photo/{name}?size={size}") for name, size in sizes.items()],
        ahead_bytes=100_000,
        workers=2,
    )
    assert exported.files == {name: photo(name, size) for name, size in sizes.items()}


@pytest.mark.parametrize("sink", ["streaming"])
def test_a_disk_too_small_for_the_largest_photos_is_noticed_before_the_first_download(
    export: Export, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr("batchlab_processor.jobs.zip_export.streaming.shutil.disk_usage", lambda _: usage)
    exported = export([source.url("/photo/a.jpg?size=5000")], ahead_bytes=1000)
    assert exported.state == "failed"
    assert "TMPDIR" in exported.error
    assert source.count("/photo/a.jpg") == 1  # the probe


def test_names_and_dates_are_those_asked_for(export: Export, source: Source) -> None:
    exported = export(
        [
            {
                "url": source.url("/photo/a.jpg"),
                "name": "ceremony/../Kuß?.jpg",
                "takenAt": "2024-06-01T14:30:09+02:00",
            },
            source.url("/photo/a.jpg"),
            source.url("/photo/A.JPG"),
            source.url("/photo/Z%C3%BCrich%201"),
            source.url("/bare/undated.jpg"),
        ]
    )
    assert list(exported.files) == ["ceremony/Kuß_.jpg", "a.jpg", "A (2).JPG", "Zürich 1.jpg", "undated.jpg"]
    dates = [info.date_time for info in exported.infos]
    assert dates[0] == (2024, 6, 1, 14, 30, 8)
    assert dates[1] == (2025, 6, 10, 14, 30, 0)
    assert dates[4] == exported.submitted


def test_a_folder_keeps_its_tree_and_not_its_neighbours(export: Export, tmp_path: Path) -> None:
    files = {"event/b.jpg": "b.jpg", "event/party/é #1%.jpg": "party/é #1%.jpg", "event2/c.jpg": ""}
    for name in files:
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(photo(name))
    exported = export([{"prefix": (tmp_path / "photos" / "event").as_uri()}])
    assert exported.files == {given: photo(name) for name, given in files.items() if given}


def test_a_folder_without_photos_is_said_to_be_empty(export: Export, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    exported = export([{"prefix": (tmp_path / "photos").as_uri()}])
    assert exported.state == "failed"
    assert "There are no photos" in exported.error


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["url", "name", "id", "size", "takenAt"])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")


@pytest.mark.parametrize(
    "form",
    [
        lambda rows: json.dumps(rows).encode(),
        lambda rows: json.dumps(rows, indent=2).encode(),
        lambda rows: b"\xef\xbb\xbf" + b"\n\n".join(json.dumps(row).encode() for row in rows),
        _csv,
    ],
    ids=["array", "indented array", "lines", "csv"],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress], ids=["plain", "gzip", "bzip2"])
def test_a_list_is_read_from_a_manifest(
    export: Export,
    source: Source,
    tmp_path: Path,
    form: Callable[[list[dict[str, Any]]], bytes],
    pack: Callable[[bytes], bytes],
) -> None:
    rows = [
        {"url": source.url("/photo/1.jpg"), "name": "é, one.jpg", "id": "x-1", "size": 4000},
        {"url": source.url("/photo/2.jpg"), "takenAt": "2024-06-01T14:30:08Z"},
    ]
    manifest = tmp_path / "list"
    manifest.write_bytes(pack(form(rows)))
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    exported = export(
        [{"manifest": manifest.as_uri(), "sha256": digest, "count": 2}, source.url("/photo/3.jpg")]
    )
    assert exported.files == {"é, one.jpg": photo("1.jpg"), "2.jpg": photo("2.jpg"), "3.jpg": photo("3.jpg")}
    assert exported.infos[1].date_time == (2024, 6, 1, 14, 30, 8)


@pytest.mark.parametrize(
    ("content", "more", "said"),
    [
        (b'["https://a.example/1.jpg"]', {"count": 2}, "lists 1 photos, the document says 2"),
        (b'["https://a.example/1.jpg"]', {"sha256": "0" * 64}, "the document says 000"),
        (
            b'[{"url": "https://a.example/1.jpg", "nmae": "x"}, {"name": "y"}]',
            {},
            "[0]: nmae: unknown field. Did you",
        ),
        (b'[{"url": "https://a.example/1.jpg", "nmae": "x"}, {"name": "y"}]', {}, "[1]: url: missing"),
        (b'{"url": "ftp://a.example/1.jpg"}', {}, "line 1: url: the scheme ftp://"),
        (b'{"url": "https://a.example/1.jpg"}\n{"url": ', {}, "cannot be read"),
        (b"https://a.example/1.jpg\n", {}, "no column url"),
        (b"url,name\nhttps://a.example/1.jpg,a,b,c\n", {}, "line 2:"),
        (b"\r\nURL,Name\r\n,\r\nhttps://a.example/1.jpg,a,b\r\n", {}, "line 4:"),
        (b"url,URL\nhttps://a.example/1.jpg,\n", {}, "has the column url twice"),
        (b'\n\n{"url": "ftp://a.example/1.jpg"}', {}, "line 3: url: the scheme ftp://"),
        (b"url\n\xff\xfe\n", {}, "is not UTF-8"),
        (gzip.compress(b'["https://a.example/1.jpg"]' * 100, mtime=0)[:-20], {}, "cannot be decompressed"),
        (gzip.compress(b"x" * 10_000_000, mtime=0), {}, "more than 65,536 characters"),
        (b"[" * 100_000, {}, "cannot be read"),
        (b"", {}, "There are no photos"),
        (
            b'[{"url": "https://a.example/1.jpg", "id": 7}, {"url": "https://a.example/2.jpg", "id": "7"}]',
            {},
            "'7'",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used_says_what_is_wrong(
    export: Export, tmp_path: Path, content: bytes, more: dict[str, Any], said: str
) -> None:
    manifest = tmp_path / "list"
    manifest.write_bytes(content)
    exported = export([{"manifest": manifest.as_uri(), **more}])
    assert exported.state == "failed"
    assert said in exported.error


def test_text_is_deflated_when_asked(export: Export, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_bytes(b"word " * 10_000)
    (tmp_path / "photos" / "b.jpg").write_bytes(photo("b.jpg"))
    exported = export([{"prefix": (tmp_path / "photos").as_uri()}], compress="text")
    assert exported.files["a.txt"] == b"word " * 10_000
    assert exported.path.stat().st_size < 6000


@pytest.mark.filterwarnings("ignore:PBKDF2 without:DeprecationWarning")
def test_a_password_protects_the_archive(export: Export, source: Source) -> None:
    exported = export(
        [source.url("/photo/a.jpg")], password_ref="wedding", passwords={"wedding": "with love"}
    )
    members = stream_unzip([exported.path.read_bytes()], password=b"with love")
    assert {name.decode(): b"".join(chunks) for name, _, chunks in members} == {"a.jpg": photo("a.jpg")}


def test_an_unknown_password_stops_the_job_before_the_first_download(export: Export, source: Source) -> None:
    exported = export([source.url("/photo/a.jpg?size=100000")], password_ref="nobody")
    assert exported.state == "failed"
    assert "nobody" in exported.error
    assert source.count("/photo/a.jpg") == 1  # the probe


def test_somebody_elses_object_at_the_target_is_never_replaced(export: Export, source: Source) -> None:
    export.directory.mkdir()
    (export.directory / "album.zip").write_bytes(b"theirs")
    exported = export([source.url("/photo/a.jpg?size=100000")])
    assert exported.state == "failed"
    assert "--overwrite" in exported.error
    assert exported.path.read_bytes() == b"theirs"
    assert source.count("/photo/a.jpg") == 1  # the probe
    assert export([source.url("/photo/a.jpg")], overwrite=True).state == "succeeded"


def test_nothing_is_visible_at_the_target_before_it_is_whole(export: Export, source: Source) -> None:
    seen: list[list[str]] = []

    def look(to: Any) -> None:
        seen.append([path.name for path in export.directory.glob("*")])
        to.good()

    source.add("look", look)
    exported = export(
        [source.url(f"/look/{n}.jpg?size=300000") for n in range(8)], workers=1, ahead_bytes=300_000
    )
    assert exported.state == "succeeded"
    assert len(seen) == 16
    assert not any("album.zip" in names for names in seen)
    assert [path.name for path in export.directory.iterdir()] == ["album.zip"]
