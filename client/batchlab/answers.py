"""One answer of a server, read with care: its length is checked, and a doubtful connection is not used again."""

from __future__ import annotations

import http.client
import ssl

from batchlab.connections import GuardedConnection, Pool
from batchlab.framing import FramedResponse
from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown


class Answer:
    """One answer. Its body's length is checked as it is read; leave the `with` early to hang up."""

    def __init__(
        self,
        url: str,
        response: FramedResponse,
        connection: GuardedConnection,
        pool: Pool,
        limit_bytes: int | None,
    ) -> None:
        self.url = url  # where the redirects ended
        self.status = response.status
        self.headers = response.fields
        self.length = response.length  # bytes of the body; None: chunked, or until the connection ends
        self.received = 0  # bytes of the body so far
        self._response = response
        self._connection: GuardedConnection | None = connection
        self._pool = pool
        self._limit_bytes = limit_bytes

    def readinto(self, buffer: memoryview | bytearray) -> int:
        """Fills `buffer`, less at the end only, and then 0.

        Raises ItemError: network for a body that ends early, corrupt for one that is longer than its
        Content-Length, too_large past limit_bytes, timeout.
        """
        if self._connection is None or not len(buffer):
            return 0
        try:
            count = self._response.readinto(buffer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise as_item_error(error, self.url) from error
        except BaseException:
            self.close()
            raise
        self.received += count
        if self._limit_bytes is not None and self.received > self._limit_bytes:
            self.close()
            raise ItemError(Kind.TOO_LARGE, f"{shown(self.url)} is larger than {self._limit_bytes:,} bytes.")
        if self._response.isclosed() or not count:
            self._finish()
        return count

    def read(self, limit_bytes: int) -> bytes:
        """The body's next bytes, at most `limit_bytes`; fewer at its end only."""
        buffer = bytearray(limit_bytes)
        view, filled = memoryview(buffer), 0
        while filled < limit_bytes and (count := self.readinto(view[filled:])):
            filled += count
        return bytes(view[:filled])

    def drain(self, limit_bytes: int) -> None:
        """Reads what is left if that is little, so that the connection can be used again."""
        if self.length is None or self.length > limit_bytes:
            self.close()
        else:
            self.read(self.length - self.received + 1)

    def close(self) -> None:
        """Hangs up, unless the body was read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._response.close()
            connection.close()

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        self._response.close()
        if self.length is not None and self.received < self.length:
            connection.close()
            got = f"after {self.received:,} of {self.length:,} bytes"
            raise ItemError(Kind.NETWORK, f"{shown(self.url)} ended {got}.")
        if connection.surplus:
            connection.close()
            raise ItemError(
                Kind.CORRUPT, f"{shown(self.url)} sent more than the {self.received:,} bytes it promised."
            )
        if connection.reusable():
            self._pool.give(connection)
        else:
            connection.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def as_item_error(error: Exception, url: str) -> ItemError:
    """What a failed connection means for the item: timeout or network."""
    said = str(error).strip() or type(error).__name__
    if isinstance(error, TimeoutError):
        return ItemError(Kind.TIMEOUT, f"{shown(url)} took too long: {said}.")
    if isinstance(error, ssl.SSLCertVerificationError):
        said = f"its certificate is not trusted ({error.verify_message})"
    elif isinstance(error, http.client.HTTPException):
        said = f"the answer is cut or no HTTP ({type(error).__name__})"
    return ItemError(Kind.NETWORK, f"{shown(url)} broke off: {said}.")
