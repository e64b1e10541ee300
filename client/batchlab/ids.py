"""Job ids are ULIDs in lower case: 48 bits of milliseconds, then 80 random bits, in 26 letters.

They sort by the time they were made, so a listing by id is a listing by age.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import uuid
from datetime import UTC, datetime, timedelta

ID_PATTERN = r"^[0-9a-hjkmnp-tv-z]{26}$"  # Crockford's base 32: no i, l, o, u
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID = re.compile(ID_PATTERN.removesuffix("$") + r"\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 80


class IdMaker:
    """Makes ids of which each is greater than the one before, also when the clock stands still or steps back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = -1  # the 128 bits given last

    def new(self, now: datetime | None = None) -> str:
        """A fresh id; `now` (with a time zone) is this machine's clock unless given."""
        milliseconds = ((now or datetime.now(UTC)) - _EPOCH) // timedelta(milliseconds=1)
        bits = (milliseconds << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
        with self._lock:
            if bits >> _RANDOM_BITS <= self._last >> _RANDOM_BITS:
                bits = self._last + 1
            self._last = bits
        return id_from_bits(bits)

    def forget(self) -> None:
        """After a fork the child starts anew: going on from the parent's last id would make the same ids."""
        self.__init__()  # type: ignore[misc]


_process_ids = IdMaker()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process_ids.forget)


def new_id(now: datetime | None = None) -> str:
    """A fresh job id, greater than every one this process made before."""
    return _process_ids.new(now)


def is_id(text: str) -> bool:
    """Whether `text` has the form of a job id."""
    return _ID.match(text) is not None


def id_from_bits(bits: int) -> str:
    """The id that spells these 128 bits; raises ValueError when there are more."""
    if not 0 <= bits < 1 << 128:
        raise ValueError("an id holds 128 bits")
    return "".join(_ALPHABET[bits >> shift & 31] for shift in range(125, -1, -5))


def id_from_batch_job(batch_job_id: str) -> str:
    """The id of the job that AWS Batch knows as `batch_job_id`: the same for each attempt and array index.

    AWS_BATCH_JOB_ID is a UUID, followed by ":<index>" in array jobs and "#<node>" in multi-node jobs.
    Raises ValueError when it is neither.
    """
    return id_from_bits(uuid.UUID(re.split("[:#]", batch_job_id)[0]).int)


def batch_job_of_id(job_id: str) -> str:
    """The AWS Batch job whose id `job_id` spells: the inverse of `id_from_batch_job`, for an id in our form."""
    bits = 0
    for letter in job_id:
        bits = bits << 5 | _ALPHABET.index(letter)
    return str(uuid.UUID(int=bits))
