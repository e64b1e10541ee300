"""One module per scheme, the same verbs on each; `Storage` is all of them behind one authority.

    storage = open_storage(settings, authority)
    with storage.open("s3://bucket/photo.jpg") as reader: ...

What a document names is read as a source. What the job itself delivered is read with `delivered=True`: the
outputs of jobs are no sources, or one customer's document could name another customer's archive.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from batchlab.errors import Denied, UsageError
from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage import documents
from batchlab_processor.storage.base import (
    LeavesUploads,
    Listed,
    Probed,
    Reader,
    Scheme,
    WriteOptions,
    Writer,
    Written,
)
from batchlab_processor.storage.parts import CannotCopy, Parts, TakesParts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from batchlab.authority import Authority
    from batchlab.guard import Guard
    from batchlab.settings import Settings

__all__ = [
    "Allowing",
    "CannotCopy",
    "Listed",
    "Parts",
    "Probed",
    "Reader",
    "Scheme",
    "Storage",
    "WriteOptions",
    "Writer",
    "Written",
    "open_storage",
]

T = TypeVar("T")


class Allowing(Protocol):
    """What `Storage` asks before every access: `batchlab.authority.Authority`."""

    def check_source(self, url: str) -> str: ...

    def check_output(self, url: str) -> str: ...


class Storage:
    """The verbs on any URL. Each asks the authority first; all raise ItemError and nothing else."""

    def __init__(
        self,
        schemes: Mapping[str, Scheme],
        authority: Allowing,
        makers: Mapping[str, TakesParts] | None = None,
    ) -> None:
        """`makers`: who makes objects of parts, for schemes that do not do it themselves."""
        self._schemes = schemes
        self._authority = authority
        self._makers = makers or {}

    def probe(self, url: str, *, delivered: bool = False) -> Probed:
        """What is known of a source, or of what this job `delivered`, without reading it whole."""
        allowed = self._readable(url, delivered)
        return self._scheme(allowed).probe(allowed)

    def open(
        self,
        url: str,
        *,
        start: int = 0,
        end: int | None = None,
        validator: str | None = None,
        delivered: bool = False,
    ) -> AbstractContextManager[Reader]:
        """Bytes start..end (end exclusive, None: to the end). With `validator`, other bytes raise changed."""
        allowed = self._readable(url, delivered)
        return self._scheme(allowed).open(allowed, start=start, end=end, validator=validator)

    def list(self, prefix: str) -> Iterator[Listed]:
        """Objects whose URL begins with `prefix`, spelled as it is, in byte order of their decoded names.

        A prefix that does not end with a slash also begins the names of its siblings; those of them that the
        authority does not allow are left out.
        """
        allowed = self._authority.check_source(prefix)
        for listed in self._scheme(allowed).list(allowed):
            if not allowed.endswith("/") and not self._allows(listed.url):
                continue
            yield replace(listed, url=prefix + listed.url.removeprefix(allowed))

    def write(self, url: str, options: WriteOptions | None = None) -> AbstractContextManager[Writer]:
        """A writer of one new object; nothing is visible before its `commit`."""
        allowed = self._authority.check_output(url)
        return self._scheme(allowed).write(allowed, options or WriteOptions())

    def delete(self, url: str) -> None:
        """Afterwards it is gone; deleting what is not there is no error."""
        allowed = self._authority.check_output(url)
        self._scheme(allowed).delete(allowed)

    def signed_url(self, url: str, lifetime: timedelta) -> str:
        """A URL that reads this output until `lifetime` has passed; file:// gives the plain URL."""
        allowed = self._authority.check_output(url)
        return self._scheme(allowed).signed_url(allowed, lifetime)

    def abort_uploads(self, url: str) -> int:
        """Ends what dead writers of exactly this output left unfinished, and says how many.

        The caller knows that no live writer is at work there.
        """
        allowed = self._authority.check_output(url)
        maker = self._maker(allowed)
        return maker.abort_uploads(allowed) if isinstance(maker, LeavesUploads) else 0

    def takes_parts(self, url: str) -> bool:
        """Whether `begin_parts` works for this output."""
        allowed = self._authority.check_output(url)
        maker = self._maker(allowed)
        return isinstance(maker, TakesParts) and maker.takes_parts(allowed)

    def begin_parts(self, url: str, options: WriteOptions, part_bytes: int) -> Parts:
        """A new object, to be made of parts of `part_bytes`. What dead writers left stays: see `abort_uploads`."""
        allowed = self._authority.check_output(url)
        return self._parts_maker(allowed).begin_parts(allowed, options, part_bytes)

    def resume_parts(self, url: str, upload_id: str, options: WriteOptions, part_bytes: int) -> Parts:
        """Goes on with what `begin_parts` began, here or in another process, with the same options."""
        allowed = self._authority.check_output(url)
        return self._parts_maker(allowed).resume_parts(allowed, upload_id, options, part_bytes)

    def copy_part(
        self,
        parts: Parts,
        number: int,
        source: str,
        start: int,
        end: int,
        validator: str,
        *,
        delivered: bool = False,
    ) -> tuple[str, int | None]:
        """See Parts.copy; the authority is asked about the source first."""
        return parts.copy(number, self._readable(source, delivered), start, end, validator)

    def read_document(self, url: str, *, limit_bytes: int) -> bytes:
        """The whole of a small source, decompressed; raises too_large above `limit_bytes`."""
        with self.open(url) as reader:
            return documents.read(reader, limit_bytes)

    def _readable(self, url: str, delivered: bool) -> str:
        check = self._authority.check_output if delivered else self._authority.check_source
        return check(url)

    def _allows(self, url: str) -> bool:
        try:
            self._authority.check_source(url)
        except ItemError as error:
            if error.kind is Kind.BLOCKED_URL:
                return False
            raise
        return True

    def _maker(self, url: str) -> Scheme | TakesParts:
        return self._makers.get(url.partition("://")[0]) or self._scheme(url)

    def _parts_maker(self, url: str) -> TakesParts:
        maker = self._maker(url)
        if not isinstance(maker, TakesParts):
            raise ItemError(
                Kind.VALIDATION, f"{shown(url)} takes no parts; write it whole, or use s3:// or r2://."
            )
        return maker

    def _scheme(self, url: str) -> Scheme:
        name = url.partition("://")[0]
        try:
            return self._schemes[name]
        except KeyError:
            raise ItemError(Kind.VALIDATION, f"{shown(url)}: nothing here reads {name}://.") from None


def open_storage(settings: Settings, authority: Authority, *, guard: Guard | None = None) -> Storage:
    """Every scheme, made when it is first used. A missing extra is an ItemError that says what to install."""
    return Storage(
        _Lazily(
            {
                "file": _file,
                "memory": _memory,
                "http": lambda: _web(authority, guard),
                "https": lambda: _web(authority, guard),
                "s3": lambda: _s3("s3", settings),
                "r2": lambda: _s3("r2", settings),
                "gs": lambda: _gs(settings),
            }
        ),
        authority,
        _Lazily({"s3": lambda: _s3_parts("s3", settings), "r2": lambda: _s3_parts("r2", settings)}),
    )


class _Lazily(Mapping[str, T]):
    """What is made at the first look."""

    def __init__(self, makers: Mapping[str, Callable[[], T]]) -> None:
        self._makers = makers
        self._made: dict[str, T] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> T:
        with self._lock:
            if name not in self._made:
                self._made[name] = self._makers[name]()
            return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def _file() -> Scheme:
    from batchlab_processor.storage.local import LocalScheme

    return LocalScheme()


def _memory() -> Scheme:
    from batchlab_processor.storage.memory import MemoryScheme

    return MemoryScheme()


def _web(authority: Authority, guard: Guard | None) -> Scheme:
    from batchlab.guard import Guard
    from batchlab_processor.storage.firebase_links import FirebaseLinks
    from batchlab_processor.storage.http import HttpScheme

    return FirebaseLinks(HttpScheme(guard or Guard.of(authority)))


def _s3(scheme: str, settings: Settings) -> Scheme:
    from batchlab.aws import s3_client
    from batchlab.bucket_regions import region_of
    from batchlab_processor.storage.s3 import S3Scheme

    def link_client(bucket: str) -> S3Client:
        return s3_client(scheme, settings, for_links=True, region=region_of(scheme, bucket, settings))

    try:
        client = s3_client(scheme, settings)
    except UsageError as error:
        raise ItemError(Kind.VALIDATION, error.message) from error
    except Denied as error:
        raise ItemError(Kind.AUTH, error.message) from error
    return S3Scheme(lambda: client, scheme=scheme, link_client=link_client)


def _s3_parts(scheme: str, settings: Settings) -> TakesParts:
    """Without boto3, which takes longer to start than a small archive to send."""
    from batchlab.aws_requests import S3Requests
    from batchlab_processor.storage.parts_s3 import S3PartsMaker

    return S3PartsMaker(S3Requests(scheme, settings), scheme)


def _gs(settings: Settings) -> Scheme:
    try:
        from batchlab_processor.storage.firebase import FirebaseScheme
    except ImportError as error:
        raise ItemError(
            Kind.VALIDATION,
            f"gs:// needs {error.name}. Install it: pip install 'batchlab-processor[firebase]'",
        ) from error
    return FirebaseScheme.of_settings(settings)
