"""What the plan says of a photo, and what `work` found."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, PrivateAttr

from batchlab_processor.jobs.zip_export.payload import Payload


class Delivered(BaseModel):
    """Where a photo's bytes are in an archive that an earlier generation of the job delivered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    validator: str | None
    start: int  # its first byte in the archive
    header: bool = True  # whether the header in front of it is the one it is to have again


class Photo(BaseModel):
    """One photo of the plan: where it is and what it is to be in the archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    name: str  # in the archive: safe, and unique there
    date: datetime  # the member's: even seconds, 1980 to 2038, with an offset from UTC
    size_bytes: int | None = None  # None: only reading it tells
    validator: str | None = None  # changes when the bytes change
    crc32: int | None = None  # of all bytes, when the source knows it
    delivered: Delivered | None = None  # then the bytes come from there


class Member(BaseModel):
    """One photo, received whole. The bytes are beside the model, not in it: they never reach a ledger."""

    model_config = ConfigDict(extra="forbid")

    name: str
    date: datetime
    size_bytes: int
    crc32: int | None  # None: an earlier run delivered it
    _payload: Payload | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, photo: Photo, payload: Payload, crc32: int) -> Member:
        """The member that `payload` is; `take` hands the payload on."""
        member = cls(name=photo.name, date=photo.date, size_bytes=payload.size_bytes, crc32=crc32)
        member._payload = payload
        return member

    def take(self) -> Payload:
        """The bytes, once; whoever takes them releases them."""
        payload, self._payload = self._payload, None
        if payload is None:
            raise RuntimeError(f"the bytes of {self.name!r} are not here: it was received by an earlier run")
        return payload
