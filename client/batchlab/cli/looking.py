"""Commands that look at jobs in a store, and the one that asks a job to stop: status, items, list and cancel."""

from __future__ import annotations

from typing import Annotated

import typer

from batchlab.cli.options import JobArgument, JsonOption, StoreOption, look_at


def status(job: JobArgument, store: StoreOption = "", as_json: JsonOption = False) -> None:
    """Show where a job stands, or its report.

    ID is the job's id, an unmistakable beginning of it, or latest.

    \b
    Examples:
      batchlab status latest
      batchlab status 01kax4 --json

    Exit code: 0 when the job exists, whatever became of it; 5 when it does not.
    """
    from batchlab.cli.choosing import choose_job
    from batchlab.cli.tables import wrapped
    from batchlab.cli.views import status_as_json, status_text
    from batchlab.records import JobRecords
    from batchlab.standing import standing

    found = look_at(store)
    records = JobRecords(found, choose_job(found, job))
    current = standing(records, records.status())
    report = records.report(current.generation) if current.ended else None
    now = found.now()
    if as_json:
        typer.echo(status_as_json(current, report, now))
    else:
        typer.echo(wrapped(status_text(current, report, now)))


def items(
    job: JobArgument,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed.")] = False,
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show what became of each item of a job.

    ID is the job's id, an unmistakable beginning of it, or latest. While a job runs, the items that have ended
    so far are shown.

    \b
    Examples:
      batchlab items latest --failed
      batchlab items 01kax4 --json | jq -r '.[] | select(.outcome == "failed") | .key'
    """
    from batchlab.cli.choosing import choose_job
    from batchlab.cli.views import items_as_json, items_text
    from batchlab.items import items_of
    from batchlab.records import JobRecords

    found = look_at(store)
    records = JobRecords(found, choose_job(found, job))
    lines = items_of(records, failed_only=failed)
    typer.echo(items_as_json(lines) if as_json else items_text(lines, failed_only=failed))


def list_all(
    state: Annotated[
        str,
        typer.Option("--status", metavar="STATE", help="Only these, such as partial.", show_default=False),
    ] = "",
    type_name: Annotated[
        str,
        typer.Option("--type", metavar="TYPE", help="Only these, such as zip-export.", show_default=False),
    ] = "",
    tag: Annotated[
        str, typer.Option("--tag", metavar="NAME=VALUE", help="Only jobs with this tag.", show_default=False)
    ] = "",
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Only jobs made since: 12h, 7d, or a date such as 2026-06-06.",
            show_default=False,
        ),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="At most so many.")] = 20,
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """List jobs, the newest first.

    \b
    Examples:
      batchlab list
      batchlab list --status partial --since 7d
      batchlab list --tag event=7 --json
    """
    from batchlab.cli.listing import find_jobs
    from batchlab.cli.views import jobs_as_json, jobs_text

    found = look_at(store)
    statuses = find_jobs(found, state=state, type_name=type_name, tag=tag, since=since, limit=limit)
    now = found.now()
    typer.echo(jobs_as_json(statuses, now) if as_json else jobs_text(statuses, now, found.url))


def cancel(job: JobArgument, store: StoreOption = "", as_json: JsonOption = False) -> None:
    """Ask a running job to stop.

    ID is the job's id, an unmistakable beginning of it, or latest.

    Items in flight are finished, no new one is started, and nothing is delivered. `batchlab retry ID` takes the
    job up again.

    \b
    Example:
      batchlab cancel latest
    """
    from batchlab.cli.choosing import choose_job
    from batchlab.cli.views import status_as_json
    from batchlab.records import JobRecords

    found = look_at(store)
    records = JobRecords(found, choose_job(found, job))
    current = records.status()
    if not current.ended:
        records.ask_to_cancel(current.generation)
    if as_json:
        typer.echo(status_as_json(records.status(), None, found.now()))
    elif current.ended:
        typer.echo(f"Job {records.id} had ended before: {current.state}.")
    else:
        typer.echo(f"Job {records.id} is asked to stop. See: batchlab status {records.id}")
