"""URLs in documents: which forms are taken, and what messages may repeat of them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from batchlab.urls import PREFIX_SCHEMES, OutputUrl, PrefixUrl, url_problem


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/a.jpg",
        "http://127.0.0.1:8000/a.jpg?sig=abc",
        "https://[::1]/a.jpg",
        "https://x.example/?id=7",
        "https://x.example/hochzeit/küste.jpg",
        "s3://bucket/key",
        "r2://bucket/key",
        "gs://bucket/key",
        "file:///home/ana/a.jpg",
        "memory://photos/a.jpg",
    ],
)
def test_a_url_of_a_known_scheme_is_taken(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("a.jpg", "begins with one of"),
        ("", "begins with one of"),
        ("x.example/a.jpg", "begins with one of"),
        ("https:/x.example/a.jpg", "begins with one of"),
        ("//x.example/a.jpg", "begins with one of"),
        ("htps://x.example/a.jpg", "Did you mean https?"),
        ("ftp://x.example/a.jpg", "is not one of"),
        ("javascript://x/%0aalert(1)", "is not one of"),
        ("https:///a.jpg", "names no host"),
        ("https://:80/a.jpg", "names no host"),
        ("s3:///a.jpg", "names no bucket; expected s3://bucket/name"),
        ("s3://user@bucket/a.jpg", "expected s3://bucket/name"),
        ("https://x.example:port/a.jpg", "host or port"),
        ("https://x.example:99999/a.jpg", "host or port"),
        ("https://[::1/a.jpg", "host or port"),
        ("https://x%2eexample/a.jpg", "a host that cannot be"),
        ("https://x\\y/a.jpg", "a host that cannot be"),
        ("https://x.example/a b.jpg", "%20"),
        ("https://x.example/a.jpg\n", "'\\n'"),
        ("https://x.example/\x00", "'\\x00'"),
        ("https://x.example/\u2028a", "Take it out"),
        ("file://home/a.jpg", "three slashes"),
        ("https://x.example/" + "a" * 9_000, "at most 8,192"),
    ],
)
def test_a_bad_url_is_refused_and_the_message_says_what_was_expected(url: str, said: str) -> None:
    assert said in (url_problem(url) or "")


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/a b?token=CANARY",
        "https://ana:CANARY@x.example:port/a",
        "https://ana:CANARY@/a b",
        "ftp://ana:CANARY@x.example/",
        "ana:CANARY@x.example/a",
        "https://ana:CAN/ARY CANARY@x.example/",
        "https://x.example/a#CANARY b",
        "https://[::1?token=CANARY",
        "https:/x.example?CANARY",
        "file://x/a?CANARY",
        "s3:///a?X-Amz-Signature=CANARY",
    ],
)
def test_no_message_repeats_a_secret(url: str) -> None:
    problem = url_problem(url)
    assert problem
    assert "CANARY" not in problem


def test_a_prefix_is_of_a_scheme_that_can_be_listed() -> None:
    assert url_problem("https://x.example/photos/", PREFIX_SCHEMES)
    assert TypeAdapter(PrefixUrl).validate_python("s3://bucket/photos/") == "s3://bucket/photos/"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("s3://bucket/exports/", "s3://bucket/exports"),
        ("s3://bucket/exports//", "s3://bucket/exports"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket", "s3://bucket"),
        ("file:///", "file:///"),
        ("file:///home/ana/", "file:///home/ana"),
        ("memory://", "memory://"),
    ],
)
def test_an_output_has_one_spelling(url: str, kept: str) -> None:
    assert TypeAdapter(OutputUrl).validate_python(url) == kept
    assert TypeAdapter(OutputUrl).validate_python(kept) == kept


@pytest.mark.parametrize("url", ["s3://bucket/a?b", "s3://bucket/a#b", "https://x.example/", 7])
def test_an_output_has_no_query_and_can_be_written(url: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(OutputUrl).validate_python(url)
