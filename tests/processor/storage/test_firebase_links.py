"""Firebase's download URLs: read as any other, refused with words that help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage.base import Probed, Reader
from batchlab_processor.storage.firebase_links import FirebaseLinks, bucket_url
from batchlab_processor.storage.memory import MemoryScheme
from batchlab_processor.storage.streams import MemoryReader

LINK = "https://firebasestorage.googleapis.com/v0/b/gallery.appspot.com/o/events%2F1%2Fa%20b.jpg"


class Web(MemoryScheme):
    """The web as it answers one thing."""

    def __init__(self, error: ItemError | None = None) -> None:
        self._error = error

    def probe(self, url: str) -> Probed:
        if self._error:
            raise self._error
        return Probed(url, size_bytes=5)

    @contextmanager
    def open(self, url: str, **_: Any) -> Iterator[Reader]:
        yield MemoryReader(self.probe(url), b"photo")


def refusal(url: str, kind: Kind) -> ItemError:
    links = FirebaseLinks(Web(ItemError(kind, "Status 4xx.", retry_after_seconds=3)))
    with pytest.raises(ItemError) as caught, links.open(url):
        pass
    opened = caught.value
    with pytest.raises(ItemError) as caught:
        links.probe(url)
    assert (caught.value.kind, caught.value.message) == (opened.kind, opened.message) and opened.kind is kind
    assert opened.retry_after_seconds == 3
    return opened


def test_a_link_is_read_as_any_url() -> None:
    links = FirebaseLinks(Web())
    assert links.probe(f"{LINK}?alt=media&token=t").size_bytes == 5
    with links.open(f"{LINK}?alt=media&token=t") as reader:
        assert reader.read() == b"photo"


def test_a_revoked_token_names_the_way_that_needs_none() -> None:
    message = refusal(f"{LINK}?alt=media&token=canary", Kind.AUTH).message
    assert "revoked" in message
    assert "gs://gallery.appspot.com/events/1/a%20b.jpg" in message
    assert "canary" not in message


def test_a_link_without_a_token_says_so() -> None:
    assert "carries no token" in refusal(f"{LINK}?alt=media", Kind.AUTH).message


def test_a_link_to_the_description_says_what_is_missing() -> None:
    assert "alt=media" in refusal(f"{LINK}?token=t", Kind.CORRUPT).message


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (f"{LINK}?alt=media&token=t", Kind.NETWORK),
        (f"{LINK}?alt=media&token=t", Kind.CORRUPT),
        ("https://example.com/v0/b/x/o/y?alt=media", Kind.AUTH),
    ],
)
def test_other_errors_are_left_as_they_are(url: str, kind: Kind) -> None:
    assert refusal(url, kind).message == "Status 4xx."


def test_an_error_of_the_one_who_reads_is_left_as_it_is() -> None:
    with (
        pytest.raises(ItemError, match=r"^auth: mine$"),
        FirebaseLinks(Web()).open(f"{LINK}?alt=media&token=t"),
    ):
        raise ItemError(Kind.AUTH, "mine")


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        (f"{LINK}?alt=media&token=t", "gs://gallery.appspot.com/events/1/a%20b.jpg"),
        (LINK, "gs://gallery.appspot.com/events/1/a%20b.jpg"),
        ("https://firebasestorage.googleapis.com:443/v0/b/b-c/o/%C3%A9", "gs://b-c/%C3%A9"),
        ("https://firebasestorage.googleapis.com/v0/b/b-c/o/a/b", None),
        ("https://firebasestorage.googleapis.com.evil.com/v0/b/b-c/o/a", None),
        ("http://firebasestorage.googleapis.com/v0/b/b-c/o/a", None),
    ],
)
def test_a_link_names_an_object(url: str, wanted: str | None) -> None:
    assert bucket_url(url) == wanted
