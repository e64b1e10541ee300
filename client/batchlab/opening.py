"""From a URL to the jobs behind it: a directory of this machine, an endpoint, or AWS Batch."""

from __future__ import annotations

import dataclasses

from batchlab.backend import Backend
from batchlab.batch.address import FORM, SCHEME, BatchAddress, is_batch_url, parse_batch_url
from batchlab.errors import UsageError
from batchlab.redact import shown
from batchlab.settings import Settings


def open_backend(url: str, settings: Settings) -> Backend:
    """The jobs at `url`: file:///directory, https://host (http:// on this machine) or batch://queue/definition.

    Raises UsageError for what is none of them, Denied without the credentials that it needs.
    """
    if url.startswith(("https://", "http://")):
        from batchlab.http_backend import HttpBackend

        return HttpBackend(url, token=settings.token)
    if url.startswith("file://"):
        return _on_this_machine(dataclasses.replace(settings, store=url.rstrip("/")))
    if is_batch_url(url):
        return in_batch(parse_batch_url(url), settings)
    raise UsageError(
        f"{shown(url)}: jobs are at https://HOST, file:///DIRECTORY or {SCHEME}://QUEUE/DEFINITION. See docs/client.md"
    )


def _on_this_machine(settings: Settings) -> Backend:
    from batchlab.service.core import Service
    from batchlab.service.here import LocalRunner
    from batchlab.service.jobs import Jobs

    return Jobs(Service.of_settings(settings, LocalRunner(settings)), followed=False)


def in_batch(address: BatchAddress, settings: Settings) -> Backend:
    """The jobs of the address' store, else of the settings', run in its queue. Raises UsageError without either."""
    from batchlab.batch.runner import BatchRunner
    from batchlab.in_batch import JobsInBatch
    from batchlab.service.core import Service
    from batchlab.stores import open_store

    store = address.store or settings.store
    if not address.definition or not store.startswith(("s3://", "r2://")):
        raise UsageError(f"To submit to AWS Batch, the URL needs a job definition and a store: {FORM}")
    settings = dataclasses.replace(
        settings,
        store=store,
        job_queue=address.queue,
        express_job_queue=settings.express_job_queue or address.queue,
        job_definition=address.definition,
        aws_region=address.region or settings.aws_region,
    )
    opened = open_store(store, settings=settings)
    return JobsInBatch(Service.of_settings(settings, BatchRunner(settings, opened), opened), followed=False)
