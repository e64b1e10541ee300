"""A small S3 server that enforces what SeaweedFS and moto forgive, in the words of S3 or of R2.

with strict_s3() as strict:                       an endpoint of its own: strict.server, as in tests.servers
    with strict.server.bucket() as bucket: ...    buckets and objects as with any other
    strict.objects[bucket, key]                   what is there, seen from inside
    strict.smallest_part_bytes = 5 * MIB          the real ones' figure; 1 KiB here

Signatures are verified (by botocore's own code), methods of presigned URLs among them; parts have their order,
their sizes, their ETags and their checksums; a copy names the version that it copies; an upload that is
completed or aborted is gone. R2 refuses headers that it does not know, and parts of unequal length.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import secrets
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.servers import S3Server

MIB = 1024 * 1024
# Source: Cloudflare R2, "S3 API compatibility": headers of uploads that R2 implements; the rest is NotImplemented
_KNOWN_TO_R2 = re.compile(
    r"x-amz-(meta-.*|date|content-sha256|security-token|copy-source(-range|-if-.*)?|storage-class"
    r"|server-side-encryption-customer-.*)"
)
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Refusal(Exception):
    """An answer that says no."""

    def __init__(self, status: int, code: str, message: str = "", more: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message or code
        self.more = more  # further XML


@dataclass(frozen=True)
class Part:
    data: bytes
    etag: str
    crc32: str = ""  # Base64; "" where the upload carries no checksums


@dataclass(frozen=True)
class Stored:
    """One object."""

    data: bytes
    etag: str
    headers: Mapping[str, str] = field(default_factory=dict)  # content-type and x-amz-meta-*
    crc32: str = ""  # Base64
    checksum_type: str = ""  # FULL_OBJECT, COMPOSITE, "" without one
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Upload:
    bucket: str
    key: str
    headers: Mapping[str, str]
    algorithm: str = ""  # "CRC32" or ""
    checksum_type: str = ""
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class StrictS3:
    """The server's state and its rules. Fields may be changed while it runs."""

    def __init__(self, *, r2: bool = False) -> None:
        self.r2 = r2
        self.reset()
        self._lock = threading.RLock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.server = S3Server(
            f"http://127.0.0.1:{self._http.server_port}",
            "strict-access-key",
            secrets.token_hex(16),
            "auto" if r2 else "eu-central-1",
        )

    def reset(self) -> None:
        """Afterwards there is one bucket, "bucket", with nothing in it, and the rules are as here."""
        self.buckets = {"bucket"}
        self.objects: dict[tuple[str, str], Stored] = {}
        self.uploads: dict[str, Upload] = {}
        self.smallest_part_bytes = 1024  # all but the last; 5 MiB in the real ones
        self.largest_part_bytes = 5 * 1024 * MIB
        self.smallest_ranged_source_bytes = 1024  # of UploadPartCopy with a range: larger than this; 5 MiB
        self.most_parts = 10_000
        self.page = 1000  # entries in an answer of ListParts
        self.connections = 0  # that were opened so far
        self.errors_in_200 = 0  # so many answers to Complete are a 200 with an error in it, and nothing done

    def put(self, bucket: str, key: str, data: bytes, *, crc32: bool = False) -> str:
        """Puts an object there from inside, with a checksum of all its bytes or without; its ETag."""
        stored = Stored(data, _md5(data), {}, *((_crc32(data), "FULL_OBJECT") if crc32 else ()))
        self.objects[bucket, key] = stored
        return stored.etag

    def serve(self) -> None:
        self._http.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, asked: Request) -> Reply:
        """The reply to a request whose signature is right."""
        with self._lock:
            self._check_headers(asked)
            return self._operation(asked)(asked)

    def _operation(self, asked: Request) -> Callable[[Request], Reply]:
        query, method = asked.query, asked.method
        if not asked.key:
            names = {"PUT": self._make_bucket, "DELETE": self._remove_bucket, "GET": self._list_objects}
            if method == "GET" and "uploads" in query:
                return self._list_uploads
        elif "uploadId" in query:
            names = {
                "PUT": self._copy_part if "x-amz-copy-source" in asked.headers else self._upload_part,
                "POST": self._complete,
                "GET": self._list_parts,
                "DELETE": self._abort,
            }
        elif "uploads" in query:
            names = {"POST": self._create}
        else:
            names = {"PUT": self._put, "GET": self._get, "HEAD": self._get, "DELETE": self._delete}
        if method not in names:
            raise Refusal(405, "MethodNotAllowed")
        return names[method]

    def _check_headers(self, asked: Request) -> None:
        if self.r2:
            for name, value in asked.headers.items():
                if name.startswith("x-amz-") and not _KNOWN_TO_R2.fullmatch(name):
                    raise Refusal(
                        501, "NotImplemented", f"Header '{name}' with value '{value}' not implemented"
                    )

    # Buckets

    def _make_bucket(self, asked: Request) -> Reply:
        self.buckets.add(asked.bucket)
        return Reply()

    def _remove_bucket(self, asked: Request) -> Reply:
        if any(bucket == asked.bucket for bucket, _ in self.objects):
            raise Refusal(409, "BucketNotEmpty")
        self.buckets.discard(asked.bucket)
        return Reply(204)

    def _list_objects(self, asked: Request) -> Reply:
        begin = asked.query.get("prefix", "")
        found = [
            f"<Contents><Key>{quote(key)}</Key><Size>{len(stored.data)}</Size>"
            f"<LastModified>{stored.modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<ETag>{escape(stored.etag)}</ETag></Contents>"
            for (bucket, key), stored in sorted(self.objects.items())
            if bucket == asked.bucket and key.startswith(begin)
        ]
        return _xml(
            "ListBucketResult", "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>", *found
        )

    def _list_uploads(self, asked: Request) -> Reply:
        begin = asked.query.get("prefix", "")
        found = [
            f"<Upload><Key>{escape(upload.key)}</Key><UploadId>{upload_id}</UploadId></Upload>"
            for upload_id, upload in self.uploads.items()
            if upload.bucket == asked.bucket and upload.key.startswith(begin)
        ]
        return _xml("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>", *found)

    # Objects

    def _put(self, asked: Request) -> Reply:
        self._check_condition(asked)
        stored = Stored(asked.body, _md5(asked.body), _kept(asked.headers))
        given = asked.headers.get("x-amz-checksum-crc32", "")
        if given:
            if given != _crc32(asked.body):
                raise Refusal(400, "BadDigest")
            stored = Stored(asked.body, stored.etag, stored.headers, given, "FULL_OBJECT")
        self.objects[asked.bucket, asked.key] = stored
        return Reply(headers={"etag": stored.etag})

    def _get(self, asked: Request) -> Reply:
        stored = self._stored(asked.bucket, asked.key)
        if asked.headers.get("if-match", stored.etag) != stored.etag:
            raise Refusal(412, "PreconditionFailed")
        headers = {
            **stored.headers,
            "etag": stored.etag,
            "last-modified": format_datetime(stored.modified, usegmt=True),
            "accept-ranges": "bytes",
        }
        data, status, size = stored.data, 200, len(stored.data)
        found = _RANGE.fullmatch(asked.headers.get("range", ""))
        if found:
            first, last = int(found[1]), min(int(found[2] or size), size - 1)
            if first >= size:
                raise Refusal(416, "InvalidRange")
            data, status = data[first : last + 1], 206
            headers["content-range"] = f"bytes {first}-{last}/{size}"
        whole = len(data) == size  # S3 gives the checksum of an object with the whole of it only
        if stored.crc32 and whole and asked.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            headers |= {"x-amz-checksum-crc32": stored.crc32, "x-amz-checksum-type": stored.checksum_type}
        return Reply(status, headers, data)

    def _delete(self, asked: Request) -> Reply:
        self.objects.pop((asked.bucket, asked.key), None)
        return Reply(204)

    # Multipart uploads

    def _create(self, asked: Request) -> Reply:
        if asked.bucket not in self.buckets:
            raise Refusal(404, "NoSuchBucket")
        algorithm = asked.headers.get("x-amz-checksum-algorithm", "")
        kind = asked.headers.get("x-amz-checksum-type", "COMPOSITE" if algorithm else "")
        if (
            algorithm not in ("", "CRC32")
            or kind not in ("", "COMPOSITE", "FULL_OBJECT")
            or bool(kind) != bool(algorithm)
        ):
            raise Refusal(400, "InvalidRequest", "This server knows CRC32, COMPOSITE or FULL_OBJECT.")
        upload_id = secrets.token_urlsafe(24)
        self.uploads[upload_id] = Upload(asked.bucket, asked.key, _kept(asked.headers), algorithm, kind)
        return _xml("InitiateMultipartUploadResult", f"<UploadId>{upload_id}</UploadId>")

    def _upload_part(self, asked: Request) -> Reply:
        upload = self._upload(asked)
        if not 1 <= int(asked.query["partNumber"]) <= self.most_parts:
            raise Refusal(400, "InvalidArgument", f"Part number must be between 1 and {self.most_parts}.")
        if len(asked.body) > self.largest_part_bytes:
            raise Refusal(400, "EntityTooLarge")
        given = asked.headers.get("x-amz-checksum-crc32", "")
        if bool(given) != bool(upload.algorithm):
            wanted, got = (upload.algorithm or "null").lower(), "crc32" if given else "null"
            said = f"Checksum Type mismatch occurred, expected checksum Type: {wanted}, actual checksum Type: {got}"
            raise Refusal(400, "InvalidRequest", said)
        if given and given != _crc32(asked.body):
            raise Refusal(400, "BadDigest", "The CRC32 you specified did not match the calculated checksum.")
        part = Part(asked.body, _md5(asked.body), given)
        upload.parts[int(asked.query["partNumber"])] = part
        return Reply(headers={"etag": part.etag} | ({"x-amz-checksum-crc32": given} if given else {}))

    def _copy_part(self, asked: Request) -> Reply:
        upload = self._upload(asked)
        bucket, _, key = unquote(asked.headers["x-amz-copy-source"]).removeprefix("/").partition("/")
        stored = self._stored(bucket, key)
        wanted = asked.headers.get("x-amz-copy-source-if-match")
        if wanted is None:
            raise Refusal(400, "InvalidRequest", "Here a copy names the version it copies.")
        if wanted != stored.etag:
            raise Refusal(412, "PreconditionFailed", "At least one of the pre-conditions did not hold")
        data = stored.data
        found = _RANGE.fullmatch(asked.headers.get("x-amz-copy-source-range", ""))
        if found:
            if len(data) <= self.smallest_ranged_source_bytes:
                raise Refusal(
                    400,
                    "InvalidRequest",
                    "The specified copy source is not supported as a byte-range copy source",
                )
            first, last = int(found[1]), int(found[2])
            if not first <= last < len(data):
                raise Refusal(
                    400, "InvalidArgument", f"Range is not valid for source object of size: {len(data)}"
                )
            data = data[first : last + 1]
        part = Part(data, _md5(data), _crc32(data) if upload.algorithm else "")
        upload.parts[int(asked.query["partNumber"])] = part
        crc32 = f"<ChecksumCRC32>{part.crc32}</ChecksumCRC32>" if part.crc32 else ""
        return _xml("CopyPartResult", f"<ETag>{escape(part.etag)}</ETag>{crc32}")

    def _list_parts(self, asked: Request) -> Reply:
        upload = self._upload(asked)
        marker = int(asked.query.get("part-number-marker", 0))
        numbers = [number for number in sorted(upload.parts) if number > marker]
        found = [
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(part.etag)}</ETag><Size>{len(part.data)}</Size>"
            + (f"<ChecksumCRC32>{part.crc32}</ChecksumCRC32>" if part.crc32 else "")
            + "</Part>"
            for number, part in ((number, upload.parts[number]) for number in numbers[: self.page])
        ]
        more = len(numbers) > self.page
        further = f"<NextPartNumberMarker>{numbers[self.page - 1]}</NextPartNumberMarker>" if more else ""
        return _xml("ListPartsResult", f"<IsTruncated>{str(more).lower()}</IsTruncated>{further}", *found)

    def _complete(self, asked: Request) -> Reply:
        upload = self._upload(asked)
        if self.errors_in_200:
            self.errors_in_200 -= 1
            return Reply(
                body=b'<?xml version="1.0" encoding="UTF-8"?>\n   ' + _error(Refusal(200, "InternalError"))
            )
        listed = _listed(asked.body)
        self._check_parts(upload, listed)
        parts = [upload.parts[number] for number, _, _ in listed]
        whole = b"".join(part.data for part in parts)
        crc32, kind = "", upload.checksum_type
        if kind:
            digests = b"".join(base64.b64decode(part.crc32) for part in parts)
            crc32 = _crc32(whole) if kind == "FULL_OBJECT" else f"{_crc32(digests)}-{len(parts)}"
        if (
            asked.headers.get("x-amz-checksum-type", kind) != kind
            or asked.headers.get("x-amz-checksum-crc32", crc32) != crc32
        ):
            raise Refusal(400, "BadDigest")
        self._check_condition(asked)
        digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
        etag = f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'
        self.objects[upload.bucket, upload.key] = Stored(whole, etag, upload.headers, crc32, kind)
        del self.uploads[asked.query["uploadId"]]
        return _xml("CompleteMultipartUploadResult", f"<ETag>{escape(etag)}</ETag>")

    def _check_parts(self, upload: Upload, listed: list[tuple[int, str, str]]) -> None:
        """Order, ETags, sizes and checksums of what Complete names."""
        if not listed:
            raise Refusal(400, "MalformedXML")
        if any(one >= other for (one, *_), (other, *_) in itertools.pairwise(listed)):
            raise Refusal(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        for number, etag, crc32 in listed:
            part = upload.parts.get(number)
            if part is None or part.etag.strip('"') != etag.strip('"') or (crc32 and crc32 != part.crc32):
                raise Refusal(400, "InvalidPart", f"Part {number} could not be found, or is another by now.")
            if upload.checksum_type and not crc32:
                said = f"The complete request must include the checksum for each part. It was missing for part {number}"
                raise Refusal(400, "InvalidRequest", said)
        sizes = [len(upload.parts[number].data) for number, _, _ in listed]
        if any(size < self.smallest_part_bytes for size in sizes[:-1]):
            raise Refusal(
                400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"
            )
        if self.r2 and (len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]):
            raise Refusal(400, "InvalidPart", "All non-trailing parts must have the same length.")

    def _abort(self, asked: Request) -> Reply:
        self._upload(asked)
        del self.uploads[asked.query["uploadId"]]
        return Reply(204)

    def _upload(self, asked: Request) -> Upload:
        upload = self.uploads.get(asked.query["uploadId"])
        if upload is None or (upload.bucket, upload.key) != (asked.bucket, asked.key):
            raise Refusal(
                404, "NoSuchUpload", "The specified upload does not exist: it was completed or aborted."
            )
        return upload

    def _stored(self, bucket: str, key: str) -> Stored:
        if (bucket, key) not in self.objects:
            raise Refusal(404, "NoSuchKey")
        return self.objects[bucket, key]

    def _check_condition(self, asked: Request) -> None:
        stored = self.objects.get((asked.bucket, asked.key))
        if asked.headers.get("if-none-match") == "*" and stored is not None:
            raise Refusal(412, "PreconditionFailed")
        wanted = asked.headers.get("if-match")
        if wanted is not None and (stored is None or stored.etag != wanted):
            raise Refusal(412 if stored else 404, "PreconditionFailed" if stored else "NoSuchKey")


def verify(server: S3Server, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raises Refusal unless botocore would have signed this request so."""
    from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    place = urlsplit(target)
    query = dict(parse_qsl(place.query, keep_blank_values=True))
    sent = dict(re.findall(r"(\w+)=([^,\s]+)", headers.get("authorization", "")))
    presigned = "X-Amz-Signature" in query
    if presigned:
        sent = {name: query[f"X-Amz-{name}"] for name in ("Credential", "SignedHeaders", "Signature")}
    if "Signature" not in sent:
        raise Refusal(403, "AccessDenied")
    access_key, day, region, service, _ = sent["Credential"].split("/")
    if access_key != server.access_key:
        raise Refusal(403, "InvalidAccessKeyId")
    if region != server.region and server.region != "auto":
        raise Refusal(
            400,
            "AuthorizationHeaderMalformed",
            f"expecting '{server.region}'",
            f"<Region>{server.region}</Region>",
        )
    names = sent["SignedHeaders"].split(";")
    payload = headers.get("x-amz-content-sha256", "")
    if not presigned and payload not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
        raise Refusal(400, "XAmzContentSHA256Mismatch")
    covered = {name: headers[name] for name in names if name in headers}
    missing = [name for name in headers if name.startswith("x-amz-") and name not in names]
    if missing:
        raise Refusal(403, "AccessDenied", f"There were headers present which were not signed: {missing}")
    pairs = parse_qsl(place.query, keep_blank_values=True)
    rest = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in pairs
        if name != "X-Amz-Signature"
    )
    asked = AWSRequest(method, f"http://{headers['host']}{place.path}{'?' + rest if rest else ''}", covered)
    asked.context["timestamp"] = query.get("X-Amz-Date", headers.get("x-amz-date", ""))
    asked.context["payload_signing_enabled"] = False
    keys = Credentials(server.access_key, server.secret_key)
    auth = (S3SigV4QueryAuth if presigned else S3SigV4Auth)(keys, service, region)
    signature = auth.signature(auth.string_to_sign(asked, auth.canonical_request(asked)), asked)
    if signature != sent["Signature"] or asked.context["timestamp"][:8] != day:
        raise Refusal(403, "SignatureDoesNotMatch")


@contextmanager
def strict_s3(*, r2: bool = False) -> Iterator[StrictS3]:
    """The server on a port of its own, gone afterwards."""
    strict = StrictS3(r2=r2)
    thread = threading.Thread(target=strict.serve, name="strict-s3", daemon=True)
    thread.start()
    try:
        yield strict
    finally:
        strict.close()
        thread.join()


def _handler(strict: StrictS3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        disable_nagle_algorithm = True

        def setup(self) -> None:
            strict.connections += 1
            super().setup()

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            place = urlsplit(self.path)
            bucket, _, key = unquote(place.path, errors="surrogateescape").removeprefix("/").partition("/")
            query = dict(parse_qsl(place.query, keep_blank_values=True))
            asked = Request(self.command, bucket, key, query, headers, body)
            try:
                verify(strict.server, self.command, self.path, headers, body)
                self._send(strict.answer(asked))
            except Refusal as refusal:
                self._send(Reply(refusal.status, {"content-type": "application/xml"}, _error(refusal)))

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    return Handler


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name.startswith("x-amz-meta-") or name == "content-type"
    }


def _listed(body: bytes) -> list[tuple[int, str, str]]:
    """(number, ETag, CRC-32) of each part that Complete names."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise Refusal(400, "MalformedXML") from None
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    return [
        (
            int(part.findtext(f"{space}PartNumber", "0")),
            part.findtext(f"{space}ETag", ""),
            part.findtext(f"{space}ChecksumCRC32", ""),
        )
        for part in root.iter(f"{space}Part")
    ]


def _xml(name: str, *inside: str) -> Reply:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    return Reply(
        headers={"content-type": "application/xml"}, body=f"{text}{''.join(inside)}</{name}>".encode()
    )


def _error(refusal: Refusal) -> bytes:
    said = f"<Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message>{refusal.more}"
    return f"<Error>{said}</Error>".encode()


def _md5(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
