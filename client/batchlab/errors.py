"""Every error that batchlab raises on purpose.

BatchlabError
├── DocumentError      exit 2  the document or the call is wrong; all problems at once
│   └── KeyTaken               its idempotency key belongs to a job with another content
├── UsageError         exit 2  the command line is wrong
├── NotFound           exit 5  no such job, item or document
├── Denied             exit 6  credentials are missing or not allowed to do this
├── ServiceError       exit 7  network, store or service did not answer
├── Interrupted        exit 75 the run stopped early and can be resumed
└── WaitTimeout        exit 124
    (store.AlreadyExists and store.VersionConflict derive from BatchlabError)

An item that fails is no error but a result: see `batchlab.kinds` and `batchlab.outcome`.
"""

from __future__ import annotations

from typing import ClassVar

from batchlab.redact import scrub


class BatchlabError(Exception):
    """Something went wrong; the message says what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "") -> None:
        self.message = scrub(message or (self.__doc__ or "").split("\n")[0])
        super().__init__(self.message)


class DocumentError(BatchlabError):
    """The job document is not valid."""

    exit_code = 2

    def __init__(self, problems: list[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else problems
        super().__init__("\n".join(self.problems))


class KeyTaken(DocumentError):
    """The idempotency key belongs to a job with another content."""


class UsageError(BatchlabError):
    """The command cannot be understood; see --help."""

    exit_code = 2


class NotFound(BatchlabError):
    """There is no such job in this store."""

    exit_code = 5


class Denied(BatchlabError):
    """Access was refused: check the credentials and what they may do."""

    exit_code = 6


class ServiceError(BatchlabError):
    """The service or the store did not answer; try again."""

    exit_code = 7


class Damaged(ServiceError):
    """A document in the store cannot be read: somebody must look at it."""


class Interrupted(BatchlabError):
    """The run stopped early; start it again to go on where it was."""

    exit_code = 75


class WaitTimeout(BatchlabError):
    """The job had not ended in the time given; it goes on."""

    exit_code = 124
