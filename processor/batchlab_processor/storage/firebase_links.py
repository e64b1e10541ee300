"""Firebase download URLs: read as any https:// URL, through the guard; refused with words that help.

https://firebasestorage.googleapis.com/v0/b/BUCKET/o/NAME?alt=media&token=... carries a token that works for
ever, until its owner revokes it; the bucket's rules do not guard it (firebase-js-sdk #76).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from urllib.parse import unquote

from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage.base import Listed, Probed, Reader, Scheme, WriteOptions, Writer
from batchlab_processor.storage.names import url_of

_LINK = re.compile(
    r"https://firebasestorage\.googleapis\.com(?::443)?/v0/b/(?P<bucket>[^/?#]+)/o/(?P<name>[^/?#]+)(?:\?(?P<query>[^#]*))?"
)


class FirebaseLinks:
    """The verbs of `web` on http(s) URLs; errors of Firebase's own links say what to do about them.

    The service account is not used for them: the door allowed a link, not what an account may read.
    """

    def __init__(self, web: Scheme) -> None:
        self._web = web

    def probe(self, url: str) -> Probed:
        with _in_firebase_words(url):
            return self._web.probe(url)

    @contextmanager
    def open(
        self, url: str, *, start: int = 0, end: int | None = None, validator: str | None = None
    ) -> Iterator[Reader]:
        with ExitStack() as opened:
            with _in_firebase_words(url):
                reader = opened.enter_context(self._web.open(url, start=start, end=end, validator=validator))
            yield reader

    def write(self, url: str, options: WriteOptions) -> AbstractContextManager[Writer]:
        return self._web.write(url, options)

    def list(self, prefix: str) -> Iterator[Listed]:
        return self._web.list(prefix)

    def delete(self, url: str) -> None:
        self._web.delete(url)

    def signed_url(self, url: str, lifetime: timedelta) -> str:
        return self._web.signed_url(url, lifetime)


def bucket_url(link: str) -> str | None:
    """The gs:// URL of what a Firebase download URL names; None for any other URL."""
    found = _LINK.fullmatch(link)
    return url_of("gs", found["bucket"], unquote(found["name"])) if found else None


@contextmanager
def _in_firebase_words(url: str) -> Iterator[None]:
    found = _LINK.fullmatch(url)
    if found is None:
        yield
        return
    try:
        yield
    except ItemError as error:
        cure = _cure(error.kind, found["query"] or "", url)
        if cure is None:
            raise
        raise ItemError(
            error.kind, f"{error.message} {cure}", retry_after_seconds=error.retry_after_seconds
        ) from error


def _cure(kind: Kind, query: str, url: str) -> str | None:
    other = f"Name it as {bucket_url(url)} and give a service account, which needs no token."
    if kind is Kind.AUTH:
        reason = "Its token was revoked." if "token=" in query else "The link carries no token."
        return f"{reason} Copy the link anew from Firebase. {other}"
    if kind is Kind.CORRUPT and "alt=media" not in query:
        return "Without alt=media Firebase answers with a description: add it to the link."
    return None
