"""Commands for jobs on AWS Batch: explain, doctor and scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from batchlab.cli.options import (
    JobArgument,
    JsonOption,
    NameOption,
    StoreOption,
    UrlOption,
    settings_of,
    store_of,
)

if TYPE_CHECKING:
    from batchlab.batch.address import BatchAddress
    from batchlab.records import JobRecords


def explain(
    job: JobArgument,
    url: UrlOption = "",
    name: NameOption = "",
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say why a job is not running.

    Each cause comes with its evidence and its cure.

    ID is the job's id, an unmistakable beginning of it, latest, or the id that AWS Batch gave it.

    It changes nothing. What your credentials may not ask is said, and counts for nothing.

    \b
    Examples:
      batchlab explain latest
      batchlab explain 01kax4 --json
      batchlab explain 876da822-4198-45f2-a252-6cea32512ea8

    Exit code: 0 when the job exists, whatever was found; 5 when it does not.
    """
    from batchlab.batch.explanation import explain as explained
    from batchlab.batch.explanation import explain_batch_job, is_batch_id
    from batchlab.cli.finding_lines import explanation_as_json, explanation_text
    from batchlab.cli.tables import wrapped

    address = address_with_store(url, name, store)
    if is_batch_id(job):
        found = explain_batch_job(job, address)
    else:
        records = records_of(job, address)
        found = explained(records, address, local=records.store.url.startswith(("file:", "memory:")))
    typer.echo(explanation_as_json(found) if as_json else wrapped(explanation_text(found)))


def doctor(url: UrlOption = "", name: NameOption = "", as_json: JsonOption = False) -> int:
    """Look for whatever would keep jobs from running on AWS Batch.

    Looked at are queues, compute environments, what fits their machines, routes and addresses, the machines' role,
    the image, quotas, and what starting machines met with in the last hour. Nothing is changed.

    \b
    Examples:
      batchlab doctor
      batchlab doctor --name wedding-photo-processor
      batchlab doctor --url batch://my-queue/my-definition --json

    Exit code: 0 when jobs can run, 1 when something blocks them, 5 when there is no such queue.
    """
    from batchlab.batch.causes import Weight
    from batchlab.batch.explanation import address_of, examine
    from batchlab.cli.finding_lines import explanation_as_json, explanation_text
    from batchlab.cli.tables import wrapped

    address = address_of(url, name, settings_of())
    queues = [address.queue]
    if not url and address.queue.endswith("-job-queue"):
        queues.append(address.queue.removesuffix("job-queue") + "express-job-queue")
    found = examine(address, queues=queues)
    typer.echo(explanation_as_json(found) if as_json else wrapped(explanation_text(found)))
    return 1 if any(finding.weight is Weight.BLOCKS for finding in found.findings) else 0


def scale(
    max_vcpus: Annotated[
        int | None, typer.Option("--max-vcpus", metavar="N", help="vCPUs that it may have.", min=0)
    ] = None,
    desired: Annotated[
        int | None,
        typer.Option("--desired", metavar="N", help="vCPUs to start now, so that jobs need not wait.", min=0),
    ] = None,
    environment: Annotated[
        str,
        typer.Option(
            "--environment",
            metavar="NAME",
            help="The compute environment [default: the queue's first, on Spot].",
            show_default=False,
        ),
    ] = "",
    url: UrlOption = "",
    name: NameOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say how many vCPUs jobs may use, and start some now.

    Without --max-vcpus and --desired it says how it stands. The next ./deploy.sh sets the maximum to
    BATCHLAB_STACK_MAX_VCPUS again.

    \b
    Examples:
      batchlab scale --max-vcpus 200
      batchlab scale --max-vcpus 200 --desired 20
      batchlab scale --name wedding-photo-processor
    """
    import json
    from dataclasses import asdict

    from batchlab.batch.account import Asking
    from batchlab.batch.explanation import address_of
    from batchlab.batch.scale import scale_of, scale_to

    address = address_of(url, name, settings_of())
    batch = Asking(address.region).client("batch")
    before = scale_of(batch, address.queue, environment)
    after = before
    if max_vcpus is not None or desired is not None:
        after = scale_to(batch, before, max_vcpus=max_vcpus, desired=desired)
    if as_json:
        typer.echo(json.dumps({"before": asdict(before), "after": asdict(after)}, indent=2))
        return
    was = "" if after == before else f" (before: {before.desired_vcpus} of {before.max_vcpus})"
    typer.echo(
        f"{after.environment}: {after.desired_vcpus} of at most {after.max_vcpus} vCPUs{was}, "
        f"{after.min_vcpus} always kept running."
    )


def address_with_store(url: str, name: str, store: str) -> BatchAddress:
    """The address with the store that counts: the one typed, else the URL's, else the environment's."""
    import dataclasses

    from batchlab.batch.explanation import address_of

    settings = settings_of(store)
    address = address_of(url, name, settings)
    return address if address.store and not store else dataclasses.replace(address, store=settings.store)


def records_of(job: str, address: BatchAddress) -> JobRecords:
    """Raises NotFound, and UsageError when `job` could mean several."""
    from batchlab.cli.choosing import choose_job
    from batchlab.records import JobRecords

    store = store_of(settings_of(address.store))
    return JobRecords(store, choose_job(store, job))
