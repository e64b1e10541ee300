"""What is known of a participant: as found, as planned, and once the sheet is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from batchlab.kinds import Kind


@dataclass(frozen=True)
class Candidate:
    """One participant as database or manifest has them; photos are mappings with a key or url."""

    reference: str
    fields: Mapping[str, str]  # for the title
    photos: tuple[Mapping[str, str], ...]
    id: str | None = None  # of the database's row
    verified: bool = False
    sheet: str | None = None  # the key of a sheet that the row names already


@dataclass(frozen=True)
class Found:
    """All that the source has of a domain."""

    candidates: tuple[Candidate, ...]
    logos: tuple[str, ...]  # keys or URLs


class Photo(BaseModel):
    """One photo of a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    fields: dict[str, str] = {}  # for the caption


class Participant(BaseModel):
    """One item: a participant whose sheet is to be made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: str
    key: str  # of the first page, below the output
    fields: dict[str, str]
    photos: tuple[Photo, ...]
    id: str | None = None


class Unreadable(BaseModel):
    """A photo that the sheet was made without."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    photo: str  # its number on the sheet and its name
    kind: Kind
    message: str


class Made(BaseModel):
    """A sheet that is where it belongs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = None
    keys: tuple[str, ...]  # of its pages, below the output
    page_bytes: tuple[int, ...] = ()  # of each; () in ledgers of before it was recorded
    size_bytes: int
    content_type: str
    made_at: datetime
    unchanged: bool = False  # it was there already, made of the same
    unreadable: tuple[Unreadable, ...] = ()


def texts(values: Iterable[tuple[Any, Any]]) -> dict[str, str]:
    """Fields for a template: what is absent is left out, numbers and dates are written as text."""
    return {str(name): _text(value) for name, value in values if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
