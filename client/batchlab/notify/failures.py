"""Why a notification did not get through, as the sender needs to know it."""

from __future__ import annotations

from datetime import timedelta

from batchlab.errors import BatchlabError


class Later(BatchlabError):
    """It may get through when it is tried again; `wait`: what the receiver asked for."""

    def __init__(self, message: str, wait: timedelta | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Never(BatchlabError):
    """It will never get through, or must not be sent any more."""
