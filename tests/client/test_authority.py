"""What a job may touch is said by the door it came in by, and by nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.authority import Authority
from batchlab.errors import DocumentError
from batchlab.kinds import ItemError, Kind
from batchlab.settings import Settings
from tests.hostile_urls import HOSTILE

LISTED = Authority(
    source_roots=("s3://gallery/photos", "gs://events/2025/", "r2://album"),
    output_roots=("s3://delivery/zips/", "file:///srv/out"),
    http_hosts=(
        "photos.example", "*.cdn.example", "odd.example:8443", "any.example:*", "[2606:4700::1111]", "127.0.0.1",
    ),
    job_types=("zip-export",),
    store_url="s3://gallery/photos/batchlab",
)  # fmt: skip
LOCAL = Authority(http_hosts=("127.0.0.1:8000", "[::1]:8000", "*.lan.example"), allow_local=True)


@pytest.mark.parametrize(
    "url",
    [
        "s3://gallery/photos/1.jpg", "s3://gallery/photos/a/b/c.jpg", "s3://gallery/photos//1.jpg",
        "gs://events/2025/day/1.jpg", "gs://events/2025", "r2://album/1.jpg", "r2://album",
        "https://photos.example/1.jpg", "https://PHOTOS.example:443/1.jpg?token=x", "https://a.cdn.example/1.jpg",
        "https://a.b.cdn.example/1.jpg", "https://odd.example:8443/1.jpg", "https://any.example:9000/1.jpg",
        "https://[2606:4700:0::1111]/1.jpg",
    ],
)  # fmt: skip
def test_a_listed_source_may_be_read(url: str) -> None:
    normal = LISTED.check_source(url)
    assert LISTED.check_source(normal) == normal


SUBMITTED = [
    "file:///etc/passwd", "file:///srv/out/x", "file://localhost/etc/passwd", "FILE:///etc/passwd", "memory://gallery/x",
    "s3://gallery/photos-private/1.jpg", "s3://gallery/photo", "s3://gallery/", "s3://gallery", "s3://gallery/Photos/1.jpg",
    "s3://gallery//photos/1.jpg", "s3://gallery/%70hotos-private/1.jpg", "s3://other/photos/1.jpg", "s3://gallery2/photos/1",
    "gs://gallery/photos/1.jpg", "r2://gallery/photos/1.jpg", "s3://events/2025/1.jpg", "gs://events/20251/1.jpg",
    "gs://events/2025-private/1.jpg", "s3://delivery/zips/1.zip",
    "s3://gallery/photos/batchlab", "s3://gallery/photos/batchlab/jobs/x/job.json", "s3://gallery/photos//batchlab/jobs/x",
    "s3://gallery/photos/%62atchlab/jobs", "s3://gallery/photos/batchlab//jobs", "s3://gallery/photos/batch",
    "s3://gallery/photos/b", "s3://gallery/photos/", "s3://gallery/photos", "s3://gallery/photos/../photos/batchlab/x",
    "s3://gallery/photos/..%2fbatchlab", "s3://gallery/photos/%2e%2e/secret", "s3://gallery/photos/%252e%252e/secret",
    "s3://gallery/photos/..\\secret", "s3://gallery/photos/a%2f..%2f..%2fsecret",
    "http://photos.example/1.jpg", "http://127.0.0.1/1.jpg", "https://cdn.example/1.jpg", "https://evilcdn.example/1.jpg",
    "https://photos.example.evil.example/1.jpg", "https://photos.example@evil.example/", "https://evil.example/photos.example",
    "https://evil.example?photos.example", "https://evil.example#photos.example", "https://photos.example:8443/1.jpg",
    "https://odd.example/1.jpg", "https://photos.example./1.jpg", "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/", "https://[fd00:ec2::254]/latest", "https://localhost/", "https://metadata.google.internal/",
    "https://a.cdn.example%2eevil.example/", "https://evil.example\\.cdn.example/", "http://169.254.170.2/v2/credentials",
]  # fmt: skip


@pytest.mark.parametrize("url", [*SUBMITTED, *HOSTILE], ids=lambda url: ascii(url)[:60])
def test_no_other_source_may_be_read(url: str) -> None:
    with pytest.raises(ItemError) as raised:
        LISTED.check_source(url)
    assert raised.value.kind is Kind.BLOCKED_URL


def test_the_message_names_the_setting_to_add() -> None:
    for url, cure in {
        "s3://other/photos/1.jpg?x": "%3F",
        "s3://other/photos/1.jpg": "Add s3://other/photos/ to BATCHLAB_SOURCE_ROOTS",
        "s3://other/1.jpg": "Add s3://other/ to BATCHLAB_SOURCE_ROOTS",
        "s3://other": "Add s3://other/ to BATCHLAB_SOURCE_ROOTS",
        "https://new.example/1.jpg?token=canary": "Add new.example to BATCHLAB_HTTP_HOSTS",
        "https://new.example:8443/": "Add new.example:8443 to BATCHLAB_HTTP_HOSTS",
        "http://photos.example/1.jpg": "--allow-local",
    }.items():
        with pytest.raises(ItemError) as raised:
            LISTED.check_source(url)
        assert cure in raised.value.message and "canary" not in raised.value.message
    with pytest.raises(ItemError, match="Add s3://delivery/other/ to BATCHLAB_OUTPUT_ROOTS"):
        LISTED.check_output("s3://delivery/other/x.zip")


def test_what_is_said_to_be_added_is_enough() -> None:
    authority = Authority()
    for url in (
        "s3://other/photos/1.jpg",
        "gs://some/1.jpg",
        "https://new.example:8443/x",
        "https://[2606:4700::1]/x",
    ):
        with pytest.raises(ItemError) as raised:
            authority.check_source(url)
        entry, setting = raised.value.message.partition("Add ")[2].rstrip(".").split(" to ")
        field = {"BATCHLAB_SOURCE_ROOTS": "source_roots", "BATCHLAB_HTTP_HOSTS": "http_hosts"}[setting]
        settings = Settings.from_environment({"HOME": "/home/x", setting: entry})
        assert getattr(settings, field)
        assert Authority.of_settings(settings).check_source(url)


@pytest.mark.parametrize(
    "url", ["s3://delivery/zips/a.zip", "s3://delivery/zips", "file:///srv/out/a.zip", "file:///srv/out"]
)
def test_a_listed_output_may_be_written(url: str) -> None:
    assert LISTED.check_output(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://gallery/photos/1.jpg", "s3://delivery/zips2/a.zip", "s3://delivery/zip", "s3://delivery/", "r2://delivery/zips/a",
        "s3://delivery/zips/../x", "s3://delivery/zips/%2e%2e/x", "file:///srv/output/a", "file:///srv", "file:///",
        "file:///srv/out/../x", "file:///srv/out%2f..%2fx", "https://photos.example/a.zip", "http://127.0.0.1/a.zip",
        "memory://delivery/zips/a.zip", "s3://gallery/photos/batchlab/jobs/x/job.json",
        *HOSTILE,
    ],
    ids=lambda url: ascii(url)[:60],
)  # fmt: skip
def test_no_other_output_may_be_written(url: str) -> None:
    with pytest.raises(ItemError) as raised:
        LISTED.check_output(url)
    assert raised.value.kind is Kind.BLOCKED_URL


def test_nothing_is_allowed_by_settings_that_say_nothing() -> None:
    authority = Authority.of_settings(Settings())
    for url in ("s3://gallery/photos/1.jpg", "https://photos.example/", "file:///tmp/x", "memory://a/b"):
        with pytest.raises(ItemError):
            authority.check_source(url)
        with pytest.raises(ItemError):
            authority.check_output(url)
    with pytest.raises(ItemError, match=r"zip-export is not allowed\. Add it to BATCHLAB_JOB_TYPES"):
        authority.check_type("zip-export")


def test_a_link_out_of_a_listed_directory_is_followed_before_the_check(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    authority = Authority(output_roots=(f"file://{tmp_path}/out",))
    assert authority.check_output(f"file://{tmp_path}/out/a.zip")
    with pytest.raises(ItemError):
        authority.check_output(f"file://{tmp_path}/out/link/a.zip")


def test_a_file_root_makes_no_file_a_source_of_a_submitted_job() -> None:
    with pytest.raises(ItemError, match="a submitted job reads no file://"):
        Authority(source_roots=("file:///srv",)).check_source("file:///srv/1.jpg")


@pytest.mark.parametrize("store", ["file://{}/out/store", "file://{}/link"])
def test_a_file_store_is_neither_source_nor_output_by_whatever_way(tmp_path: Path, store: str) -> None:
    (tmp_path / "out" / "store").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "out" / "store")
    whole = f"file://{tmp_path}/"
    authority = Authority.granted(sources=[whole], outputs=[whole], store_url=store.format(tmp_path))
    assert authority.check_output(f"file://{tmp_path}/out/a.zip")
    for path in ("out/store", "out/store/jobs/x/job.json", "link/jobs/x", "out//store/x"):
        with pytest.raises(ItemError, match="job documents live there"):
            authority.check_output(whole + path)
        with pytest.raises(ItemError, match="job documents live there"):
            authority.check_source(whole + path)


def test_a_bucket_is_the_same_store_by_each_of_its_schemes() -> None:
    authority = Authority(
        source_roots=("r2://gallery", "gs://gallery", "s3://gallery"), store_url="s3://gallery/batchlab"
    )
    for scheme in ("s3", "r2", "gs"):
        assert authority.check_source(f"{scheme}://gallery/photos/1.jpg")
        for path in ("batchlab/jobs", "batchlab", "batch", ""):  # a listing of "batch" would show the store
            with pytest.raises(ItemError, match="job documents live there"):
                authority.check_source(f"{scheme}://gallery/{path}")


def test_plain_http_and_loopback_need_a_host_listed_by_name() -> None:
    assert LOCAL.check_source("http://127.0.0.1:8000/a") and LOCAL.allows_local("http://127.0.0.1:8000/a")
    assert LOCAL.check_source("http://[::1]:8000/a") and LOCAL.allows_local("http://[0:0::1]:8000/a")
    assert LOCAL.check_source("https://a.lan.example/a") and not LOCAL.allows_local("https://a.lan.example/a")
    for url in (
        "http://127.0.0.1:8001/a",
        "http://a.lan.example/a",
        "http://127.0.0.2:8000/",
        "http://169.254.169.254/",
    ):
        with pytest.raises(ItemError):
            LOCAL.check_source(url)
    everywhere = Authority(http_hosts=("*",), allow_local=True)
    assert everywhere.check_source("https://any.example/a") and not everywhere.allows_local(
        "https://127.0.0.1/a"
    )
    assert not LISTED.allows_local("https://127.0.0.1/")


def test_a_run_on_the_command_line_may_touch_what_its_user_named(tmp_path: Path) -> None:
    authority = Authority.granted(
        sources=[
            f"file://{tmp_path}",
            "https://photos.example/1.jpg?token=canary",
            "s3://gallery/day/",
            "gs://one/a.jpg",
        ],
        outputs=["s3://delivery/album.zip"],
    )
    for url in (
        f"file://{tmp_path}/1.jpg",
        "https://photos.example/2.jpg",
        "s3://gallery/day/1.jpg",
        "gs://one/a.jpg",
    ):
        assert authority.check_source(url)
    for url in (
        "file:///etc/passwd",
        "https://cdn.example/1.jpg",
        "s3://gallery/night/1.jpg",
        "gs://one/b.jpg",
    ):
        with pytest.raises(ItemError):
            authority.check_source(url)
    assert authority.check_output("s3://delivery/album.zip") == "s3://delivery/album.zip"
    with pytest.raises(ItemError):
        authority.check_output("s3://delivery/other.zip")
    assert authority.check_type("anything") == "anything"
    assert authority.exact_target and not authority.overwrite and not authority.allow_local


def test_the_lists_of_the_settings_count_on_the_command_line_too() -> None:
    settings = Settings(source_roots=("s3://gallery/",), http_hosts=("cdn.example",))
    authority = Authority.granted(sources=["https://photos.example/list.json"], settings=settings)
    assert authority.check_source("https://cdn.example/1.jpg") and authority.check_source(
        "s3://gallery/1.jpg"
    )


def test_a_grant_is_json_without_secrets_and_the_same_when_loaded(tmp_path: Path) -> None:
    authority = Authority.granted(
        sources=["https://photos.example/1.jpg?token=canary#canary", f"file://{tmp_path}"],
        outputs=["s3://delivery/a.zip"],
        overwrite=True,
        allow_local=True,
        store_url="file:///srv/store",
    )
    text = json.dumps(authority.as_json())
    assert "canary" not in text
    assert Authority.from_json(json.loads(text)) == authority
    with pytest.raises(DocumentError, match="no field everything"):
        Authority.from_json({"everything": True})


def test_a_web_address_is_no_output_to_grant() -> None:
    with pytest.raises(ItemError, match="https:// cannot be written"):
        Authority.granted(outputs=["https://photos.example/a.zip"])


def test_memory_is_for_tests_that_ask_for_it() -> None:
    authority = Authority.granted(sources=["memory://a"], outputs=["memory://b"], allow_memory=True)
    assert authority.check_source("memory://a/1.jpg") and authority.check_output("memory://b/x.zip")
    with pytest.raises(ItemError, match="memory:// is for tests"):
        Authority.granted(sources=["memory://a"]).check_source("memory://a/1.jpg")


def test_five_thousand_granted_files_are_checked_without_comparing_each_with_each(tmp_path: Path) -> None:
    urls = [f"s3://gallery/day/{number}.jpg" for number in range(5000)]
    authority = Authority.granted(sources=urls)
    assert all(authority.check_source(url) == url for url in urls)


SEGMENT = st.sampled_from(
    ["photos", "photos-x", "a", "..", ".", "%2e%2e", "%2E.", "a%2fb", "\\", "", "%5c", "batchlab", "%252e"]
)


@given(st.lists(SEGMENT, max_size=6))
def test_whatever_is_admitted_lies_in_a_root_however_it_is_decoded(segments: list[str]) -> None:
    from urllib.parse import unquote

    url = "s3://gallery/" + "/".join(segments)
    try:
        text = LISTED.check_source(url)
    except ItemError:
        return
    for _ in range(6):
        inside = [part for part in text.removeprefix("s3://gallery/").replace("\\", "/").split("/") if part]
        assert inside[0] == "photos" and ".." not in inside and inside[1:2] != ["batchlab"]
        text = unquote(text)


def test_a_file_that_nobody_named_is_refused_with_a_cure_that_works() -> None:
    """BATCHLAB_SOURCE_ROOTS takes no file://."""
    authority = Authority.granted(sources=["file:///home/ana/list.json"])
    with pytest.raises(ItemError, match="Name its folder there") as refused:
        authority.check_source("file:///home/ana/secrets/1.jpg")
    assert "BATCHLAB_" not in refused.value.message
