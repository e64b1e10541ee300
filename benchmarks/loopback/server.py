"""What server.c does, for machines without a C compiler: slower, so figures taken with it are not comparable.

    python -m benchmarks.loopback.server PHOTO_BYTES [CERTIFICATE KEY]

Prints its port; ends with its standard input. It checks nothing: never use it in a test of what
is right.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import sys
import tempfile
import threading
from collections import defaultdict
from typing import IO
from urllib.parse import parse_qs, urlsplit

BLOCK_BYTES = 64 * 1024 * 1024
_HEAD = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-(\d*)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Loopback:
    """The server's state: what the photos are, and how many bytes each object has."""

    def __init__(self, size_bytes: int, block: IO[bytes]) -> None:
        self.size_bytes = size_bytes
        self.block = block
        self.uploading: dict[str, dict[int, int]] = defaultdict(dict)
        self.objects: dict[str, int] = {}

    def serve(self, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            connection = tls.wrap_socket(connection, server_side=True)
        buffered = b""
        with connection:
            while True:
                while b"\r\n\r\n" not in buffered:
                    received = connection.recv(65536)
                    if not received:
                        return
                    buffered += received
                head, _, buffered = buffered.partition(b"\r\n\r\n")
                method, target = head.split(b" ", 2)[:2]
                length = int(found[1]) if (found := _LENGTH.search(head)) else 0
                if b"100-continue" in head.lower():
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                buffered = _drop(connection, buffered, length)
                self.answer(connection, method.decode(), target.decode(), head, length)

    def answer(self, connection: socket.socket, method: str, target: str, head: bytes, length: int) -> None:
        url = urlsplit(target)
        if url.path.startswith("/photos/"):
            self.send_photo(connection, head)
            return
        query = parse_qs(url.query, keep_blank_values=True)
        if method == "PUT":
            if "partNumber" in query:
                self.uploading[url.path][int(query["partNumber"][0])] = length
            else:
                self.objects[url.path] = length
            _reply(connection, 200, headers='ETag: "0"\r\n')
        elif method == "POST" and "uploads" in query:
            parts = url.path.split("/", 2)
            _reply(
                connection,
                200,
                _xml("InitiateMultipartUploadResult", parts[1], parts[2], "<UploadId>u</UploadId>"),
            )
        elif method == "POST":
            self.objects[url.path] = sum(self.uploading.pop(url.path, {}).values())
            parts = url.path.split("/", 2)
            _reply(
                connection,
                200,
                _xml("CompleteMultipartUploadResult", parts[1], parts[2], '<ETag>"0-1"</ETag>'),
            )
        elif method == "DELETE":
            _reply(connection, 204)
        elif "uploads" in query:
            _reply(
                connection,
                200,
                _xml("ListMultipartUploadsResult", "b", "", "<IsTruncated>false</IsTruncated>"),
            )
        elif url.path in self.objects:
            size = self.objects[url.path]
            _reply(connection, 200, headers=f'ETag: "0-1"\r\nContent-Length: {size}\r\n', length=False)
        else:
            _reply(connection, 404)

    def send_photo(self, connection: socket.socket, head: bytes) -> None:
        asked = _RANGE.search(head)
        start, end = 0, self.size_bytes
        status = "200 OK"
        extra = ""
        if asked:
            start = int(asked[1])
            end = min(end, int(asked[2]) + 1) if asked[2] else end
            status, extra = (
                "206 Partial Content",
                f"Content-Range: bytes {start}-{end - 1}/{self.size_bytes}\r\n",
            )
        connection.sendall(
            f"HTTP/1.1 {status}\r\nContent-Type: image/jpeg\r\nContent-Length: {end - start}\r\n{extra}"
            'ETag: "photo"\r\nAccept-Ranges: bytes\r\nLast-Modified: Sat, 06 Jun 2026 12:00:00 GMT\r\n\r\n'.encode()
        )
        while start < end:
            offset = start % BLOCK_BYTES
            length = min(end - start, BLOCK_BYTES - offset)
            if isinstance(connection, ssl.SSLSocket):
                connection.sendall(os.pread(self.block.fileno(), min(length, 1 << 20), offset))
                start += min(length, 1 << 20)
            else:
                start += os.sendfile(connection.fileno(), self.block.fileno(), offset, length)


def _drop(connection: socket.socket, buffered: bytes, length: int) -> bytes:
    """Reads a body of `length` bytes without looking at it; returns what follows it."""
    left = max(0, length - len(buffered))
    buffered = buffered[length:]
    scratch = bytearray(4 * 1024 * 1024)
    while left:
        flags = 0 if isinstance(connection, ssl.SSLSocket) else socket.MSG_TRUNC
        left -= connection.recv_into(scratch, min(left, len(scratch)), flags) or left
    return buffered


def _xml(name: str, bucket: str, key: str, inner: str) -> bytes:
    return f"<?xml version='1.0'?><{name}><Bucket>{bucket}</Bucket><Key>{key}</Key>{inner}</{name}>".encode()


def _reply(
    connection: socket.socket, status: int, body: bytes = b"", *, headers: str = "", length: bool = True
) -> None:
    told = f"Content-Length: {len(body)}\r\n" if length and status != 204 else ""
    connection.sendall(
        f"HTTP/1.1 {status} X\r\nDate: Sat, 06 Jun 2026 12:00:00 GMT\r\n{headers}{told}\r\n".encode() + body
    )


def main() -> None:
    with tempfile.TemporaryFile() as block, socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        block.write(_HEAD + os.urandom(BLOCK_BYTES - len(_HEAD)))
        block.flush()
        loopback = Loopback(int(sys.argv[1]), block)
        tls = None
        if sys.argv[2:]:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(*sys.argv[2:])
        print(server.getsockname()[1], flush=True)
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
        while True:
            connection, _ = server.accept()
            threading.Thread(target=loopback.serve, args=(connection, tls), daemon=True).start()


if __name__ == "__main__":
    main()
