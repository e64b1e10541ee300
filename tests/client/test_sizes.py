"""Sizes: bytes as numbers and as people write them."""

import pytest
from pydantic import BaseModel, ValidationError

from batchlab.sizes import ByteSize, parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("256 MiB", 268_435_456),
        ("256MiB", 268_435_456),
        ("1 GB", 1_000_000_000),
        ("1.5 GiB", 1_610_612_736),
        ("500 kB", 500_000),
        ("10 tib", 10 * 1024**4),
        ("12", 12),
        ("12 B", 12),
    ],
)
def test_a_size_is_read_in_decimal_and_binary_units(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "MiB", "12 Mb ps", "12 XB", "-1 kB", "1e9", "1,000", "٣ MB", "1.2.3 MB", "9" * 99]
)
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match='"256 MiB"'):
        parse_size(text)


class Buffer(BaseModel):
    size: ByteSize


def test_a_field_holds_bytes_however_they_were_written() -> None:
    assert Buffer.model_validate({"size": "1 KiB"}) == Buffer(size=1024)


@pytest.mark.parametrize("value", [True, 1.5, None, "big"])
def test_a_field_refuses_other_values(value: object) -> None:
    with pytest.raises(ValidationError):
        Buffer.model_validate({"size": value})
