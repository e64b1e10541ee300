"""Commands for jobs on AWS Batch: submit, logs, explain, doctor and scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from batchlab.cli.options import JobArgument, JsonOption, StoreOption, settings_of, store_of

if TYPE_CHECKING:
    from batchlab.batch.address import BatchAddress
    from batchlab.records import JobRecords

UrlOption = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        help="batch://QUEUE/DEFINITION?store=s3://... [default: BATCHLAB_URL, else the stack's].",
        show_default=False,
    ),
]
NameOption = Annotated[
    str,
    typer.Option(
        "--name",
        metavar="NAME",
        help="The stack, as ./deploy.sh --name gave it [default: batchlab].",
        show_default=False,
    ),
]


def submit(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", hidden=True)],
    url: UrlOption = "",
    name: NameOption = "",
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """Submit a job document to AWS Batch.

    DOCUMENT is a file in YAML or JSON, or - for stdin. The job runs when a machine is free, and may touch what the
    stack's settings list. Its id goes to stdout. Submitted twice, a document with an id or an idempotency_key is
    one job.

    \b
    Examples:
      batchlab submit job.yaml --store s3://batchlab-123456789012-us-east-1/store
      batchlab submit job.json --url "batch://my-queue/my-definition?store=s3://my-bucket/jobs"
    """
    import json
    from dataclasses import asdict

    from batchlab.batch.jobs import BatchJobs
    from batchlab.cli.documents import read_job
    from batchlab.errors import UsageError
    from batchlab.streams import say

    job = read_job(document, "")
    here = [place for place in (*job.sources, *job.outputs) if place.startswith("file:")]
    if here:
        raise UsageError(
            f"{here[0]} is on this machine, and the job runs elsewhere. Upload it, or: batchlab run"
        )
    address = _address(url, name, store)
    if not address.store.startswith(("s3://", "r2://")):
        raise UsageError("Jobs on AWS need a store there: --store s3://BUCKET/PREFIX (deploy.sh prints it).")
    submitted = BatchJobs(address, settings_of(address.store)).submit(job.document)
    typer.echo(json.dumps(asdict(submitted), indent=2) if as_json else submitted.id)
    where = f"{submitted.id} --store {address.store}"
    say(f"In queue {address.queue}. Then: batchlab status {where}")
    say(f"             batchlab logs {where} --follow")


def logs(
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    url: UrlOption = "",
    name: NameOption = "",
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show what a job's containers on AWS Batch wrote.

    ID is the job's id, an unmistakable beginning of it, latest, or the id that AWS Batch gave it.

    All starts of the job, the oldest first, from CloudWatch. With --json one object in each line.

    \b
    Examples:
      batchlab logs latest --follow
      batchlab logs 876da822-4198-45f2-a252-6cea32512ea8
    """
    import json

    from batchlab.batch.explanation import batch_job_of, is_batch_id
    from batchlab.batch.jobs import BatchJobs
    from batchlab.words import printable

    address = _address(url, name, store)
    batch_job = job
    if not is_batch_id(job):
        records = _records(job, address)
        batch_job = batch_job_of(records, records.status().generation)
    for line in BatchJobs(address).logs(batch_job, follow=follow):
        if as_json:
            typer.echo(json.dumps({"at": line.at.isoformat(), "text": line.text}, ensure_ascii=False))
        else:
            typer.echo(f"{line.at:%Y-%m-%d %H:%M:%S} {printable(line.text)}")


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

    address = _address(url, name, store)
    if is_batch_id(job):
        found = explain_batch_job(job, address)
    else:
        records = _records(job, address)
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


def _address(url: str, name: str, store: str) -> BatchAddress:
    """The address with the store that counts: the one typed, else the URL's, else the environment's."""
    import dataclasses

    from batchlab.batch.explanation import address_of

    settings = settings_of(store)
    address = address_of(url, name, settings)
    return address if address.store and not store else dataclasses.replace(address, store=settings.store)


def _records(job: str, address: BatchAddress) -> JobRecords:
    from batchlab.cli.choosing import choose_job
    from batchlab.records import JobRecords

    store = store_of(settings_of(address.store))
    return JobRecords(store, choose_job(store, job))
