"""Where customers' pages lie: raw objects `pages/<token>/<name>`, in the store's place or under BATCHLAB_PAGES_ROOT.

Raw, because /s and /d are served from them without this program: by a Worker from its R2 bucket, by anything that
reads files. Names are relative to `pages/`: "<token>/index.html".
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol
from urllib.parse import unquote, urlsplit

from batchlab import aws
from batchlab.errors import Denied, ServiceError, UsageError
from batchlab.settings import Settings
from batchlab.store import Store
from batchlab.stores.body import check_name

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER = "pages"


class Pages(Protocol):
    """All methods raise ServiceError when the storage cannot be reached and Denied when it refuses access."""

    def put(self, name: str, body: bytes, content_type: str) -> None:
        """Afterwards the object is `body`, whole, whatever was there before."""
        ...

    def get(self, name: str) -> bytes | None:
        """The object, or None when there is none."""
        ...

    def delete(self, name: str) -> None:
        """Afterwards there is no such object; deleting a missing one is no error."""
        ...


def open_pages(settings: Settings, store: Store) -> Pages:
    """The pages under BATCHLAB_PAGES_ROOT, else in the place of `store`.

    Makes no request yet. Raises UsageError for a place that cannot keep pages.
    """
    url = settings.pages_root or store.url
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme == "file":
        return FilePages(Path(path, FOLDER))
    if parts.scheme in ("s3", "r2"):
        client = aws.s3_client(parts.scheme, settings, read_timeout_seconds=20)
        return BucketPages(client, parts.netloc, "/".join(filter(None, (path.strip("/"), FOLDER))))
    if parts.scheme == "memory":
        return MemoryPages.named(url)
    raise UsageError(f"BATCHLAB_PAGES_ROOT: {parts.scheme}:// keeps no pages; use file://, s3:// or r2://.")


class FilePages:
    """In a directory of this machine. Files are readable by their owner alone: link.json says where archives lie."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, name: str, body: bytes, content_type: str) -> None:
        path = self._path(name)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with _in_our_words():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with open(temporary, "xb", opener=_private) as file:
                    file.write(body)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

    def get(self, name: str) -> bytes | None:
        path = self._path(name)
        with _in_our_words():
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def delete(self, name: str) -> None:
        path = self._path(name)
        with _in_our_words():
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._directory / check_name(name)


class BucketPages:
    """In a bucket, below `prefix`; `client` retries by itself."""

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def put(self, name: str, body: bytes, content_type: str) -> None:
        key = self._key(name)
        # Whoever serves the bucket itself hands these on: a page is looked at again each time it is opened.
        cached = "no-store" if name.endswith(".json") else "no-cache"
        try:
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentType=content_type, CacheControl=cached
            )
        except Exception as error:  # noqa: BLE001  BotoCoreError and ClientError, and what an HTTP library adds
            raise aws.explained(error, _PLACE) from None

    def get(self, name: str) -> bytes | None:
        key = self._key(name)
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._client.exceptions.NoSuchKey:
            return None
        except Exception as error:  # noqa: BLE001  as above
            # Source: Amazon S3 API Reference, GetObject: who may not list is answered 403 where there is nothing,
            # and the function that anybody may call lists nothing.
            if aws.code_and_status(error) == ("AccessDenied", 403):
                return None
            raise aws.explained(error, _PLACE) from None

    def delete(self, name: str) -> None:
        key = self._key(name)
        try:
            self._client.delete_object(Bucket=self._bucket, Key=key)
        except Exception as error:  # noqa: BLE001  as above
            raise aws.explained(error, _PLACE) from None

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{check_name(name)}"


class MemoryPages:
    """In this process, for tests."""

    _by_name: ClassVar[dict[str, MemoryPages]] = {}

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @classmethod
    def named(cls, name: str) -> MemoryPages:
        """The same pages for the same name."""
        return cls._by_name.setdefault(name, cls())

    def put(self, name: str, body: bytes, content_type: str) -> None:
        with self._lock:
            self._objects[check_name(name)] = body

    def get(self, name: str) -> bytes | None:
        return self._objects.get(check_name(name))

    def delete(self, name: str) -> None:
        with self._lock:
            self._objects.pop(check_name(name), None)


_PLACE = "the customers' pages"  # in errors, because the names there carry tokens


@contextlib.contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise Denied(f"No permission for {_PLACE}. Check who owns the directory.") from None
    except OSError as error:
        raise ServiceError(f"{_PLACE}: {error.strerror or type(error).__name__}.") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
