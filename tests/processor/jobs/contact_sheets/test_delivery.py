"""Where pages go, and how one that is there is known: in a bucket, and where a file system keeps no attributes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchlab.settings import Settings
from batchlab_processor.jobs.contact_sheets import ContactSheets
from batchlab_processor.jobs.contact_sheets.delivery import Standing, page_keys
from batchlab_processor.storage.base import WriteOptions
from batchlab_processor.storage.memory import MemoryScheme
from batchlab_processor.testing import check_job_type
from tests.processor.jobs.contact_sheets.marathon import GALLERY, TINY, Sheets
from tests.servers import S3Server

LIST = "reference,url\n" + "".join(f"{person},{n}.jpg\n" for person in ("1001", "1002") for n in range(8))


@pytest.fixture
def again(sheets: Sheets, tmp_path: Path) -> dict[str, Any]:
    """The params of a job over two participants of a list."""
    folder = tmp_path / "lists"
    folder.mkdir()
    for number, photo in enumerate(sorted(GALLERY.glob("*.jpg"))[:8]):
        (folder / f"{number}.jpg").write_bytes(photo.read_bytes())
    (folder / "list.csv").write_text(LIST)
    return {"domain": "x", "manifest": (folder / "list.csv").as_uri()}


@pytest.fixture
def bucket(
    sheets: Sheets, seaweedfs: S3Server, seaweedfs_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Any, str]]:
    """A client, and the bucket that the sheets go to."""
    for name, value in seaweedfs.environment().items():
        monkeypatch.setenv(name, value)
    sheets.settings = Settings.from_environment(seaweedfs.environment())
    sheets.output = f"s3://{seaweedfs_bucket}/sheets"
    client = seaweedfs.client()
    yield client, seaweedfs_bucket
    client.close()


def test_a_bucket_keeps_what_a_sheet_was_made_of_and_only_changed_ones_are_written_again(
    sheets: Sheets, again: dict[str, Any], bucket: tuple[Any, str], tmp_path: Path
) -> None:
    client, name = bucket
    key = "sheets/x/1001/contact-sheet.jpg"
    assert sheets(**again).state == "succeeded"
    first = client.head_object(Bucket=name, Key=key)
    assert first["ContentType"] == "image/jpeg"
    assert first["Metadata"]["batchlab-type"] == "contact-sheets"
    assert sheets(**again).facts["generation"]["unchanged"] == 2
    assert client.head_object(Bucket=name, Key=key)["Metadata"] == first["Metadata"]
    photo = tmp_path / "lists" / "3.jpg"
    photo.write_bytes((tmp_path / "lists" / "4.jpg").read_bytes())
    assert sheets(**again).facts["generation"]["unchanged"] == 0
    assert client.head_object(Bucket=name, Key=key)["ETag"] != first["ETag"]
    assert "Uploads" not in client.list_multipart_uploads(Bucket=name)


def test_in_a_bucket_another_program_s_object_stays(
    sheets: Sheets, again: dict[str, Any], bucket: tuple[Any, str]
) -> None:
    client, name = bucket
    key = "sheets/x/1001/contact-sheet.jpg"
    client.put_object(Bucket=name, Key=key, Body=b"theirs", Metadata={"batchlab-type": "zip-export"})
    report = sheets(**again)
    assert [(failure.key, str(failure.kind)) for failure in report.failures] == [("1001", "validation")]
    assert client.get_object(Bucket=name, Key=key)["Body"].read() == b"theirs"


def test_on_a_file_system_without_attributes_the_bytes_tell_that_a_sheet_is_ours(
    sheets: Sheets, again: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchlab_processor.storage.local.read_metadata", lambda file: None)
    sheets(**again)
    before = {name: (sheets.directory / name).stat().st_mtime_ns for name in sheets.made()}
    assert sheets(**again).state == "succeeded"
    assert {name: (sheets.directory / name).stat().st_mtime_ns for name in sheets.made()} == before
    (sheets.directory / "x/1001/contact-sheet.jpg").write_bytes(b"theirs")
    report = sheets(**again)
    assert [failure.key for failure in report.failures] == ["1001"]
    assert (sheets.directory / "x/1001/contact-sheet.jpg").read_bytes() == b"theirs"


def test_a_page_that_could_not_be_written_leaves_no_first_page_that_says_it_is_whole(
    sheets: Sheets, again: dict[str, Any]
) -> None:
    taken = sheets.directory / "x/1001/contact-sheet-2.jpg"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"theirs")
    report = sheets(**again, layouts={"8": "2x2"})
    assert [failure.key for failure in report.failures] == ["1001"]
    assert sheets.made() == [
        "x/1001/contact-sheet-2.jpg",
        "x/1002/contact-sheet-2.jpg",
        "x/1002/contact-sheet.jpg",
    ]


@pytest.mark.parametrize("same", [True, False])
def test_of_two_jobs_that_make_one_sheet_at_once_neither_fails(
    sheets: Sheets, again: dict[str, Any], monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    alone = {"domain": "alone", "manifest": again["manifest"]}
    assert sheets(**alone).state == "succeeded"
    page = (sheets.directory / "alone/1001/contact-sheet.jpg").read_bytes()
    check, faster = Standing.check_free, []

    def overtaken(standing: Standing) -> None:
        """The other job writes between this one's look and its own write."""
        check(standing)
        if "/1001/" in standing._url and not faster:
            faster.append(standing._url)
            other = Standing(standing._key, standing._ctx)
            other.write(page if same else b"another look", "image/jpeg", {})

    monkeypatch.setattr(Standing, "check_free", overtaken)
    assert sheets(**again).state == "succeeded"
    assert len(faster) == 1
    assert (sheets.directory / "x/1001/contact-sheet.jpg").read_bytes() == page


def test_what_a_stranger_puts_there_meanwhile_stays(
    sheets: Sheets, again: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Standing.check_free
    theirs = sheets.directory / "x/1001/contact-sheet.jpg"

    def overtaken(standing: Standing) -> None:
        check(standing)
        if "/1001/" in standing._url:
            theirs.parent.mkdir(parents=True)
            theirs.write_bytes(b"theirs")

    monkeypatch.setattr(Standing, "check_free", overtaken)
    assert [failure.key for failure in sheets(**again).failures] == ["1001"]
    assert theirs.read_bytes() == b"theirs"


@pytest.mark.parametrize(
    ("first", "second"),
    [("a/b.jpg", "a/b-2.jpg"), ("a.b/c", "a.b/c-2"), ("b.tar.png", "b.tar-2.png")],
)
def test_further_pages_have_their_number_before_the_ending(first: str, second: str) -> None:
    assert page_keys(first, 2) == (first, second)


def test_contact_sheets_keep_what_the_engine_relies_on() -> None:
    place = f"memory://{uuid.uuid4().hex}"
    files = {"in/list.csv": LIST.encode()}
    for number, photo in enumerate(sorted(GALLERY.glob("*.jpg"))[:8]):
        files[f"in/{number}.jpg"] = photo.read_bytes()
    for name, content in files.items():
        with MemoryScheme().write(f"{place}/{name}", WriteOptions()) as writer:
            writer.write(content)
            writer.commit()
    params = {**TINY, "domain": "x", "manifest": f"{place}/in/list.csv"}
    document = {"type": "contact-sheets", "params": params, "output": f"{place}/out"}
    check_job_type(ContactSheets, document, sources=[place])
