from __future__ import annotations

import pytest

from batchlab_processor.jobs.zip_export import headers
from batchlab_processor.jobs.zip_export.headers import BIG, MANY
from tests.processor.jobs.zip_export.archives import DATE

AROUND = [0, 1, BIG - 1, BIG, BIG + 1, 1 << 50]


@pytest.mark.parametrize("size_bytes", AROUND)
def test_how_long_headers_are_is_known_before_they_are_written(size_bytes: int) -> None:
    for name in (b"a", "Zoë.jpg".encode(), b"x" * 900):
        written = headers.local(name, size_bytes, DATE, 1)
        assert headers.local_bytes(len(name), size_bytes) == len(written)
        assert len(headers.local(name, size_bytes, DATE, 1, room_bytes=50)) == len(written) + 50
        for offset in AROUND:
            line = headers.central(name, size_bytes, DATE, 1, offset)
            assert headers.central_bytes(len(name), size_bytes, offset) == len(line)


@pytest.mark.parametrize(
    ("members", "offset", "size_bytes", "zip64"),
    [
        (0, 0, 0, False),
        (MANY - 1, BIG - 1, BIG - 1, False),
        (MANY, 0, 0, True),
        (1, BIG, 0, True),
        (1, 0, BIG, True),
        (1 << 20, 1 << 50, 1 << 40, True),
    ],
)
def test_an_archive_ends_in_zip64_exactly_when_a_classic_field_would_mean_see_there(
    members: int, offset: int, size_bytes: int, zip64: bool
) -> None:
    written = headers.ends(members, offset, size_bytes)
    assert len(written) == (56 + 20 + 22 if zip64 else 22) <= headers.ENDS_BYTES
    assert headers.END.unpack(written[-22:])[3:] == (
        min(members, MANY), min(members, MANY), min(size_bytes, BIG), min(offset, BIG), 0
    )  # fmt: skip
    if zip64:
        assert headers.END_64.unpack(written[:56])[6:] == (members, members, size_bytes, offset)
        assert headers.LOCATOR.unpack(written[56:76])[1:] == (0, offset + size_bytes, 1)
