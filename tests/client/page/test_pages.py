"""Where pages lie: one conformance suite for every place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchlab import aws
from batchlab.errors import Denied, ServiceError, UsageError
from batchlab.page import Pages, open_pages
from batchlab.page.pages import BucketPages
from batchlab.settings import Settings
from batchlab.stores import open_store
from tests import servers

NAME = "T0ken_-T0ken_-T0ken_-x/index.html"
Opened = Callable[..., Pages]


def r2(server: servers.S3Server) -> Settings:
    return Settings(
        r2_endpoint=server.endpoint_url, r2_access_key=server.access_key, r2_secret_key=server.secret_key
    )


@pytest.fixture(params=["file", "memory", "moto", "seaweedfs"])
def pages(request: pytest.FixtureRequest, tmp_path: Path) -> Pages:
    store = open_store("memory://pages-elsewhere")
    if request.param == "file":
        return open_pages(Settings(pages_root=(tmp_path / "a b").as_uri()), store)
    if request.param == "memory":
        return open_pages(Settings(pages_root=f"memory://{tmp_path.name}"), store)
    name = {"moto": "moto_s3", "seaweedfs": "seaweedfs"}[request.param]
    server = request.getfixturevalue(name)
    bucket = request.getfixturevalue(name.removesuffix("_s3") + "_bucket")
    settings = r2(server)
    return open_pages(Settings(**{**vars_of(settings), "pages_root": f"r2://{bucket}/below"}), store)


def vars_of(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in ("r2_endpoint", "r2_access_key", "r2_secret_key")}


def test_what_was_put_last_is_what_is_got(pages: Pages) -> None:
    assert pages.get(NAME) is None
    pages.put(NAME, b"first", "text/html")
    pages.put(NAME, "zweite Fassung ü".encode(), "text/html")
    assert pages.get(NAME) == "zweite Fassung ü".encode()


def test_what_was_deleted_is_gone_and_may_be_deleted_again(pages: Pages) -> None:
    pages.put(NAME, b"page", "text/html")
    pages.delete(NAME)
    pages.delete(NAME)
    assert pages.get(NAME) is None


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a//b", ".hidden/x", "a\x00b", "a\\b"])
def test_no_name_leads_out_of_the_pages(pages: Pages, name: str) -> None:
    for ask in (pages.get, pages.delete, lambda name: pages.put(name, b"", "text/html")):
        with pytest.raises(UsageError):
            ask(name)


def test_pages_lie_in_the_store_unless_a_root_is_set(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    open_pages(Settings(), store).put(NAME, b"page", "text/html")
    assert (tmp_path / "pages" / NAME).read_bytes() == b"page"
    assert list(store.names("pages/")) == [f"pages/{NAME}"], "cleanup finds them by the store's own list"


def test_a_file_is_its_owners_alone_and_never_half_a_page(tmp_path: Path) -> None:
    pages = open_pages(Settings(pages_root=tmp_path.as_uri()), open_store("memory://x"))
    pages.put(NAME, b"page", "text/html")
    path = tmp_path / "pages" / NAME
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in path.parent.iterdir()] == ["index.html"], "no temporary file is left"


def test_a_bucket_tells_readers_not_to_keep_what_changes(moto_s3: servers.S3Server, moto_bucket: str) -> None:
    settings = r2(moto_s3)
    pages = open_pages(
        Settings(**vars_of(settings), pages_root=f"r2://{moto_bucket}"), open_store("memory://x")
    )
    pages.put("T/link.json", b"{}", "application/json")
    pages.put("T/index.html", b"x", "text/html; charset=utf-8")
    client = moto_s3.client()
    link = client.head_object(Bucket=moto_bucket, Key="pages/T/link.json")
    index = client.head_object(Bucket=moto_bucket, Key="pages/T/index.html")
    client.close()
    assert (link["CacheControl"], index["CacheControl"]) == ("no-store", "no-cache")
    assert index["ContentType"] == "text/html; charset=utf-8"


def test_who_may_not_list_is_told_there_is_nothing_where_there_is_nothing() -> None:
    class Refusing:
        class exceptions:  # noqa: N801  as boto3 calls it
            class NoSuchKey(Exception):
                pass

        def get_object(self, **_: Any) -> Any:
            from botocore.exceptions import ClientError

            raise ClientError(
                {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}},  # type: ignore[typeddict-item]
                "GetObject",
            )

        put_object = get_object

    pages = BucketPages(Refusing(), "bucket", "pages")  # type: ignore[arg-type]
    assert pages.get(NAME) is None
    with pytest.raises(Denied) as caught:
        pages.put(NAME, b"", "text/html")
    assert NAME.split("/")[0] not in str(caught.value), "a token stands in no error"


def test_a_directory_that_cannot_be_written_is_told_without_the_token(tmp_path: Path) -> None:
    (tmp_path / "pages").write_text("a file where the directory should be")
    pages = open_pages(Settings(pages_root=tmp_path.as_uri()), open_store("memory://x"))
    with pytest.raises(ServiceError) as caught:
        pages.put(NAME, b"", "text/html")
    assert NAME.split("/")[0] not in str(caught.value)
    assert pages.get(NAME) is None


def test_other_places_keep_no_pages() -> None:
    with pytest.raises(UsageError, match="use file://, s3:// or r2://"):
        open_pages(Settings(pages_root="gs://bucket/pages"), open_store("memory://x"))


def test_a_page_is_opened_without_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(aws, "s3_client", lambda scheme, settings, **_: asked.append(scheme))
    open_pages(Settings(pages_root="s3://bucket/prefix"), open_store("memory://x"))
    assert asked == ["s3"]
