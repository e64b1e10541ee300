"""Where a sheet's pages are, and how one that is there is known: nothing is uploaded twice, nothing foreign replaced.

Every page carries our job type as metadata, the first one also the digest of what it was made of, and it is written
last: whoever finds it finds a whole sheet. So a sheet whose run was killed right after is recognised, and one of
which nothing changed is left as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from urllib.parse import quote

from batchlab.kinds import ItemError, Kind
from batchlab_processor.job import Context
from batchlab_processor.jobs.contact_sheets.participant import Made, Participant
from batchlab_processor.storage.base import Probed, WriteOptions
from batchlab_processor.storage.names import exists_already

TYPE_WORD, DIGEST_WORD, PAGES_WORD = "batchlab-type", "batchlab-digest", "batchlab-pages"
JOB_TYPE = "contact-sheets"
_OVERTAKEN = (Kind.VALIDATION, Kind.CHANGED)  # something is there now, or something else
_UNSEEN = (Kind.MISSING, Kind.AUTH)  # not there, or we may only write there


def page_keys(first: str, pages: int) -> tuple[str, ...]:
    """contact-sheet.jpg, contact-sheet-2.jpg, ..."""
    stem, dot, extension = first.rpartition(".")
    if not dot or "/" in extension:
        stem, dot, extension = first, "", ""
    return (first, *(f"{stem}-{number}{dot}{extension}" for number in range(2, pages + 1)))


def output_url(key: str, ctx: Context) -> str:
    """Where `key` is delivered: below the document's output, whoever runs the job."""
    return f"{str(ctx.document.output).rstrip('/')}/{quote(key)}"


def digest(made_of: object, versions: Sequence[str | None]) -> str | None:
    """The digest of a sheet's ingredients; None when a source does not tell whether a photo changed."""
    if None in versions:
        return None
    text = json.dumps([made_of, *versions], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Standing:
    """What is at a key before we write there."""

    def __init__(self, key: str, ctx: Context) -> None:
        self._key = key
        self._url = output_url(key, ctx)
        self._ctx = ctx
        self._probed: Probed | None = None
        try:
            self._probed = ctx.storage.probe(self._url, delivered=True)
        except ItemError as error:
            if error.kind not in _UNSEEN:  # else the write itself says it
                raise

    @property
    def ours(self) -> bool:
        """Whether a job of our type wrote it."""
        return self._metadata.get(TYPE_WORD) == JOB_TYPE

    @property
    def digest(self) -> str | None:
        """What our sheet was made of, if it is one and tells."""
        return self._metadata.get(DIGEST_WORD) if self.ours else None

    def made(self, participant: Participant) -> Made:
        """The sheet that is there, as if we had made it."""
        assert self._probed is not None
        keys = page_keys(participant.key, int(self._metadata.get(PAGES_WORD, "1")))
        sizes = (self._size_bytes, *(Standing(key, self._ctx)._size_bytes for key in keys[1:]))
        return Made(
            id=participant.id,
            keys=keys,
            page_bytes=sizes,
            size_bytes=sum(sizes),
            content_type=self._probed.content_type or "application/octet-stream",
            made_at=self._probed.modified or self._ctx.now(),
            unchanged=True,
        )

    def clear(self) -> None:
        """Removes what a killed writer of this page left out of sight; its sheet may be there all the same."""
        try:
            self._ctx.storage.abort_uploads(self._url)
        except ItemError as error:
            if error.kind is not Kind.AUTH:  # who may not look leaves it to the bucket's lifecycle rule
                raise

    def check_free(self) -> None:
        """Raises ItemError(validation) when something foreign is there, before any photo is read."""
        probed = self._probed
        if probed is None or self.ours or self._ctx.overwrite():
            return
        if probed.metadata is not None:  # a place that keeps none leaves it to the bytes, see `write`
            raise exists_already(self._url)

    def write(self, page: bytes, content_type: str, words: dict[str, str]) -> None:
        """Puts the page there, in place of nothing, of exactly the page of ours that was seen, or of all when asked.

        Of two jobs that make the same sheet at once the slower one finds the page of the faster one, and takes it
        for its own when it has the same bytes, else replaces it.
        """
        try:
            self._put(page, content_type, words)
        except ItemError as error:
            now = Standing(self._key, self._ctx) if error.kind in _OVERTAKEN else None
            if now is None or not now.ours:
                raise
            if not now._is(page):
                now._put(page, content_type, words)

    def _put(self, page: bytes, content_type: str, words: dict[str, str]) -> None:
        probed, ctx = self._probed, self._ctx
        if probed is not None and probed.metadata is None and self._is(page):
            return
        options = WriteOptions(
            content_type=content_type,
            metadata={TYPE_WORD: JOB_TYPE, **words},
            overwrite=ctx.overwrite(),
            replaces=probed.validator if probed is not None and self.ours else None,
            expected_bytes=len(page),
        )
        with ctx.storage.write(self._url, options) as writer:
            writer.write(page)
            writer.commit()
        ctx.uploaded(len(page))

    @property
    def _size_bytes(self) -> int:
        return 0 if self._probed is None else self._probed.size_bytes or 0

    @property
    def _metadata(self) -> dict[str, str]:
        return dict(self._probed.metadata or {}) if self._probed is not None else {}

    def _is(self, page: bytes) -> bool:
        assert self._probed is not None
        if self._probed.size_bytes != len(page):
            return False
        with self._ctx.storage.open(self._url, delivered=True) as reader:
            return reader.read() == page


def deliver(
    pages: Sequence[bytes],
    keys: Sequence[str],
    content_type: str,
    first: Standing,
    made_of: str | None,
    ctx: Context,
) -> None:
    """All pages are where they belong, the first one last. `made_of`: the digest, if there is one."""
    for number in reversed(range(len(pages))):
        if ctx.stop.is_set():
            raise ItemError(Kind.NETWORK, "The run stopped before the sheet was delivered.")
        if number:
            Standing(keys[number], ctx).write(pages[number], content_type, {})
            continue
        words = {PAGES_WORD: str(len(pages)), **({DIGEST_WORD: made_of} if made_of else {})}
        first.write(pages[0], content_type, words)
