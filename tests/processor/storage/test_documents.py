"""Documents and lists, compressed or not, from any scheme."""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import random
import sys
from collections.abc import Callable, Iterator

import pytest

from batchlab.authority import Authority
from batchlab.kinds import ItemError, Kind
from batchlab.settings import Settings
from batchlab_processor.storage import Storage, WriteOptions, documents, open_storage
from batchlab_processor.storage.memory import forget

ROWS = "id,url\r\n1,https://example.com/ü.jpg\r\n" * 100
COMPRESSED: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, bz2.compress, lzma.compress]
URL = "memory://documents/list"


@pytest.fixture
def storage() -> Iterator[Storage]:
    authority = Authority(
        source_roots=("memory://documents/",), output_roots=("memory://documents/",), allow_memory=True
    )
    yield open_storage(Settings(), authority)
    forget("documents")


def put(storage: Storage, data: bytes) -> None:
    with storage.write(URL, WriteOptions(overwrite=True)) as writer:
        writer.write(data)
        writer.commit()


def failure(storage: Storage, limit_bytes: int = 10**6) -> tuple[Kind, str]:
    with pytest.raises(ItemError) as caught:
        storage.read_document(URL, limit_bytes=limit_bytes)
    text = caught.value
    with pytest.raises(ItemError) as caught, documents.text(storage.open(URL), limit_bytes) as lines:
        list(lines)
    assert caught.value.kind is text.kind
    return text.kind, text.message


@pytest.mark.parametrize("compress", COMPRESSED, ids=lambda each: each.__module__)
def test_a_document_is_the_same_compressed_or_not(
    storage: Storage, compress: Callable[[bytes], bytes]
) -> None:
    put(storage, compress(ROWS.encode()))
    assert storage.read_document(URL, limit_bytes=10**6) == ROWS.encode()
    with documents.text(storage.open(URL)) as lines:
        assert len(list(csv.DictReader(lines))) == 199
    with documents.text(storage.open(URL)) as lines:
        assert lines.read() == ROWS


def test_several_compressed_files_in_a_row_are_one(storage: Storage) -> None:
    put(storage, gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert storage.read_document(URL, limit_bytes=10**6) == b"one\ntwo\n"


def test_an_empty_document_is_empty(storage: Storage) -> None:
    for data in (b"", gzip.compress(b"")):
        put(storage, data)
        assert storage.read_document(URL, limit_bytes=10**6) == b""
        with documents.text(storage.open(URL)) as lines:
            assert lines.read() == ""


def test_a_byte_order_mark_is_no_text(storage: Storage) -> None:
    put(storage, "\ufeffid,url".encode())
    with documents.text(storage.open(URL)) as lines:
        assert lines.read() == "id,url"


@pytest.mark.parametrize("compress", COMPRESSED, ids=lambda each: each.__module__)
def test_a_bomb_stops_at_the_limit(storage: Storage, compress: Callable[[bytes], bytes]) -> None:
    put(storage, compress(b"\0" * 3_000_000))
    kind, message = failure(storage)
    assert kind is Kind.TOO_LARGE
    assert "more than 1,000,000 bytes" in message


def test_the_limit_itself_is_allowed(storage: Storage) -> None:
    put(storage, gzip.compress(b"x" * 1000))
    assert len(storage.read_document(URL, limit_bytes=1000)) == 1000
    assert failure(storage, 999)[0] is Kind.TOO_LARGE


@pytest.mark.parametrize("compress", COMPRESSED[1:], ids=lambda each: each.__module__)
def test_a_broken_compression_is_corrupt(storage: Storage, compress: Callable[[bytes], bytes]) -> None:
    whole = compress(ROWS.encode())
    for data in (whole[:-5], whole[: len(whole) // 2], whole[:12] + b"\xff" * 40):
        put(storage, data)
        assert failure(storage)[0] is Kind.CORRUPT


def test_text_in_another_encoding_is_said(storage: Storage) -> None:
    put(storage, "Müller".encode("latin-1"))
    with pytest.raises(ItemError, match="UTF-8") as caught, documents.text(storage.open(URL)) as lines:
        lines.read()
    assert caught.value.kind is Kind.VALIDATION


def test_an_error_of_the_reader_keeps_its_kind(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    put(storage, gzip.compress(random.randbytes(1_000_000)))
    with storage.open(URL) as reader:
        alive = reader.readinto
        calls = 0

        def broken(buffer: memoryview) -> int:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise ItemError(Kind.NETWORK, "the line is dead")
            return alive(buffer)

        monkeypatch.setattr(reader, "readinto", broken)
        with pytest.raises(ItemError) as caught:
            documents.read(reader, 10**7)
    assert caught.value.kind is Kind.NETWORK


def test_a_compression_that_needs_more_names_the_install_command(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(storage, b"\x28\xb5\x2f\xfd" + b"anything")
    for missing in ("backports.zstd", "compression.zstd"):
        monkeypatch.setitem(sys.modules, missing, None)
    kind, message = failure(storage)
    assert kind is Kind.VALIDATION
    assert "pip install 'smart-open[zst]'" in message


def test_no_smart_open_is_needed_for_what_is_not_compressed(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "smart_open", None)
    put(storage, b"plain")
    assert storage.read_document(URL, limit_bytes=10**6) == b"plain"
