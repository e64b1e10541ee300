"""A job's token, and the addresses made of it. Who has the token has the page and the download."""

from __future__ import annotations

import re
import secrets

from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.store import AlreadyExists

_RANDOM_BYTES = 16  # 128 bits: nobody finds one by trying
_TOKEN = re.compile(r"[0-9A-Za-z_-]{22}")


def token(records: JobRecords) -> str:
    """The job's token: made by the first call, the same at every other. It never stands in a log."""
    name = f"{records.folder}/page.json"
    found = records.store.read(name)
    if found is None:
        made = secrets.token_urlsafe(_RANDOM_BYTES)
        try:
            records.store.create(name, {"token": made})
            return made
        except AlreadyExists:
            found = records.store.read(name)
    assert found is not None, "page.json is deleted with its job only"
    return str(found.body["token"])


def is_token(text: str) -> bool:
    """Whether `text` has the form of a token."""
    return _TOKEN.fullmatch(text) is not None


def page_url(settings: Settings, its_token: str) -> str | None:
    """Where customers open the page; None when BATCHLAB_PUBLIC_BASE_URL is unset."""
    return f"{settings.public_base_url}/s/{its_token}" if settings.public_base_url else None


def download_url(settings: Settings, its_token: str, number: int | None = None) -> str | None:
    """Where customers get the artifact of that number, from 1; without a number the only one, or the list."""
    if not settings.public_base_url:
        return None
    return f"{settings.public_base_url}/d/{its_token}" + ("" if number is None else f"/{number}")
