"""A URL is read in one way only, or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.kinds import ItemError, Kind
from batchlab.locations import locate
from tests.hostile_urls import HOSTILE


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://Example.COM", "https://example.com/"),
        ("HTTPS://example.com:443/a", "https://example.com/a"),
        ("http://example.com:80/a?b=c#d", "http://example.com/a?b=c"),
        ("https://example.com:8443/a", "https://example.com:8443/a"),
        ("https://example.com/a%2Fb/../c?x=%2e&Signature=a%2Bb==", "https://example.com/a%2Fb/../c?x=%2e&Signature=a%2Bb=="),
        ("https://example.com/my photo.jpg", "https://example.com/my%20photo.jpg"),
        ("https://example.com/sommerfest-größe.jpg", "https://example.com/sommerfest-gr%C3%B6%C3%9Fe.jpg"),
        ("https://Bücher.example/a", "https://xn--bcher-kva.example/a"),
        ("https://[2606:4700:0:0::1111]/a", "https://[2606:4700::1111]/a"),
        ("https://[::1]:8080/a", "https://[::1]:8080/a"),
        ("s3://bucket", "s3://bucket/"),
        ("S3://bucket/a b/c.jpg", "s3://bucket/a%20b/c.jpg"),
        ("s3://bucket/a%20b/%C3%BC.jpg", "s3://bucket/a%20b/%C3%BC.jpg"),
        ("s3://bucket/why%3F%23.jpg", "s3://bucket/why%3F%23.jpg"),
        ("s3://bucket/100%25.jpg", "s3://bucket/100%25.jpg"),
        ("gs://my_bucket.appspot.com/x", "gs://my_bucket.appspot.com/x"),
        ("r2://bucket/a//b", "r2://bucket/a//b"),
        ("file://localhost/nowhere/a", "file:///nowhere/a"),
        ("file:///nowhere//a", "file:///nowhere/a"),
    ],
)  # fmt: skip
def test_a_good_url_has_one_form(url: str, normal: str) -> None:
    assert locate(url).url == normal
    assert locate(normal).url == normal


@pytest.mark.parametrize("url", HOSTILE, ids=lambda url: ascii(url)[:60])
def test_a_url_that_two_programs_could_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(ItemError) as raised:
        locate(url)
    assert raised.value.kind is Kind.BLOCKED_URL
    assert "pw" not in raised.value.message and raised.value.message.isprintable()


def test_there_are_more_than_forty_hostile_forms() -> None:
    assert len(set(HOSTILE)) > 100


@given(
    st.text(max_size=60)
    | st.text("s3:/bucket.%2eE5cCfF\\?#@[]0127x ", max_size=40).map("s3://bucket/".__add__)
)
def test_any_text_is_a_location_or_refused_and_a_location_stays_what_it_is(text: str) -> None:
    for url in (text, f"https://{text}", f"file:///{text}"):
        try:
            place = locate(url)
        except ItemError:
            continue
        assert locate(place.url) == place
        assert ".." not in place.segments or place.scheme in ("https", "http")


def test_symbolic_links_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to("/etc")
    assert locate(f"file://{tmp_path}/inside/link/passwd").path == os.path.realpath("/etc/passwd")


def test_a_circle_of_symbolic_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ItemError, match="symbolic links"):
        locate(f"file://{tmp_path}/a/x")
