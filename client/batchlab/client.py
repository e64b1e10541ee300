"""Submit jobs and follow them, wherever they run.

    with Client.from_env() as client:
        job = client.jobs.submit(ZipExport(items=[...], output="s3://bucket/exports"))
        job.wait(on_progress=lambda info: print(info.counts))

file:///dir runs them on this machine, https://... asks an endpoint, batch://... hands them to AWS Batch: what
holds for one holds for all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from batchlab.api import Estimate, JobSummary, JobTypeInfo
from batchlab.backend import Backend
from batchlab.documents_taken import Document, Target, take
from batchlab.errors import UsageError
from batchlab.http_backend import HttpBackend
from batchlab.job import Job
from batchlab.job_queries import Since, behind, query_of
from batchlab.opening import open_backend
from batchlab.settings import Settings
from batchlab.status import State


class Client:
    """Jobs behind one URL. Safe to share between threads; close it, or use it as a context manager."""

    def __init__(self, url: str | None = None, *, backend: Backend | None = None) -> None:
        """`url` None: BATCHLAB_URL's. `backend` in place of what a URL would open.

        Raises UsageError for a URL that is none, Denied without the credentials that it needs.
        """
        if backend is None:
            settings = Settings.from_environment(os.environ)
            wanted = url or settings.url
            if not wanted:
                raise UsageError(
                    "Where are the jobs? Set BATCHLAB_URL, or give the URL: https://HOST, file:///DIRECTORY or "
                    "batch://QUEUE/DEFINITION followed by ?store=s3://BUCKET/PREFIX"
                )
            backend = open_backend(wanted, settings)
        self.backend = backend
        self.jobs = ClientJobs(backend)

    @classmethod
    def from_env(cls) -> Client:
        """The client that BATCHLAB_URL and BATCHLAB_TOKEN describe. Raises UsageError when there is no URL."""
        return cls()

    def close(self) -> None:
        """Closes its connections; jobs go on."""
        close = getattr(self.backend, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ClientJobs:
    """All jobs of one client."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._known_elsewhere = isinstance(backend, HttpBackend)

    def submit(
        self,
        document: Document,
        *,
        idempotency_key: str | None = None,
        notify: Target | Iterable[Target] = (),
        expires: str | timedelta | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Job:
        """The job exists and is on its way; with the same `idempotency_key` again it is the same job.

        Raises DocumentError with everything that is wrong, also for a key that another document has.
        """
        taken = take(
            document,
            idempotency_key=idempotency_key,
            notify=notify,
            expires=expires,
            tags=tags,
            known_elsewhere=self._known_elsewhere,
        )
        return Job(self._backend, self._backend.submit(taken))

    def estimate(self, document: Document) -> Estimate:
        """What the job would take, as far as it can be known; nothing is submitted. Raises DocumentError."""
        return self._backend.estimate(take(document, known_elsewhere=self._known_elsewhere))

    def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        return Job(self._backend, self._backend.get(job_id))

    def list(
        self,
        *,
        status: State | str | None = None,
        type: str | None = None,  # noqa: A002  the word of the document
        tag: tuple[str, str] | None = None,
        since: Since = None,
        limit: int | None = None,
    ) -> Iterator[JobSummary]:
        """The newest first, page after page as they are asked for; at most `limit`.

        `since` is a moment, or how long before now. Raises UsageError for a status that is none.
        """
        query = query_of(status=status, job_type=type, tag=tag, since=since, limit=limit)
        left = limit
        while True:
            page = self._backend.list(query)
            shown = page.jobs if left is None else page.jobs[:left]
            yield from shown
            left = None if left is None else left - len(shown)
            if page.next is None or left == 0:
                return
            query = behind(query, page.next, left)

    def types(self) -> tuple[JobTypeInfo, ...]:
        """The job types that may be submitted there."""
        return self._backend.job_types()
