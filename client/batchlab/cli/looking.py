"""Commands that look at jobs, and the one that asks a job to stop: status, items, list, link and cancel."""

from __future__ import annotations

from typing import Annotated

import typer

from batchlab.cli.options import JobArgument, JsonOption, StoreOption, UrlOption


def status(
    job: JobArgument, url: UrlOption = "", store: StoreOption = "", as_json: JsonOption = False
) -> None:
    """Show where a job stands, or its report.

    ID is the job's id, an unmistakable beginning of it, or latest.

    \b
    Examples:
      batchlab status latest
      batchlab status 01kax4 --json

    Exit code: 0 when the job exists, whatever became of it; 5 when it does not.
    """
    from datetime import UTC, datetime

    from batchlab.cli import views
    from batchlab.cli.doors import door
    from batchlab.cli.tables import wrapped

    with door(store, url) as found:
        info = found.job(job).info
        text = (
            views.as_json(info)
            if as_json
            else wrapped(views.status_text(info, datetime.now(UTC), found.options))
        )
    typer.echo(text)


def items(
    job: JobArgument,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed.")] = False,
    url: UrlOption = "",
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
    from batchlab.cli import views
    from batchlab.cli.doors import door

    with door(store, url) as found:
        lines = list(found.job(job).items("failed" if failed else None))
    typer.echo(views.as_json(lines) if as_json else views.items_text(lines, failed_only=failed))


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
    url: UrlOption = "",
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
    from datetime import UTC, datetime

    from batchlab.cli import views
    from batchlab.cli.doors import door
    from batchlab.cli.listing import find_jobs

    now = datetime.now(UTC)
    with door(store, url) as found:
        jobs = find_jobs(
            found.backend, state=state, type_name=type_name, tag=tag, since=since, limit=limit, now=now
        )
        typer.echo(views.as_json(jobs) if as_json else views.jobs_text(jobs, now, found.place))


def link(job: JobArgument, url: UrlOption = "", store: StoreOption = "", as_json: JsonOption = False) -> None:
    """Show where the customer gets what a job delivered.

    ID is the job's id, an unmistakable beginning of it, or latest. The links work until the hour that is shown.

    \b
    Examples:
      batchlab link latest
      batchlab link 01kax4 --json | jq -r .page
    """
    from batchlab.cli import views
    from batchlab.cli.doors import door

    with door(store, url) as found:
        there = found.job(job).link()
    typer.echo(views.as_json(there) if as_json else views.link_text(there))


def cancel(
    job: JobArgument, url: UrlOption = "", store: StoreOption = "", as_json: JsonOption = False
) -> None:
    """Ask a running job to stop.

    ID is the job's id, an unmistakable beginning of it, or latest.

    Items in flight are finished, no new one is started, and nothing is delivered. `batchlab retry ID` takes the
    job up again.

    \b
    Example:
      batchlab cancel latest
    """
    from batchlab.cli import views
    from batchlab.cli.doors import door

    with door(store, url) as found:
        held = found.job(job)
        before = held.info
        after = before if before.ended else held.cancel()
        options = found.options
    if as_json:
        typer.echo(views.as_json(after))
    elif before.ended:
        typer.echo(f"Job {before.id} had ended before: {before.state}.")
    else:
        typer.echo(f"Job {before.id} is asked to stop. See: batchlab status {before.id}{options}")
