"""Commands that hand a job document to whoever runs it, and that say beforehand what it would take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batchlab.cli.options import JsonOption, NameOption, QuietOption, StoreOption, UrlOption, settings_of
from batchlab.errors import UsageError
from batchlab.streams import say

if TYPE_CHECKING:
    from batchlab.api import Estimate
    from batchlab.cli.doors import Door
    from batchlab.cli.jobs_here import Job as NamedJob
    from batchlab.document import JobDocument
    from batchlab.job import Job
    from batchlab.settings import Settings


def submit(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", hidden=True)],
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end.")] = False,
    estimate_first: Annotated[
        bool, typer.Option("--estimate", help="Say what it would take, and ask before it is submitted.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="The answer to that question.")] = False,
    key: Annotated[
        str,
        typer.Option(
            "--key", metavar="KEY", help="Two submissions with one key are one job.", show_default=False
        ),
    ] = "",
    url: UrlOption = "",
    name: NameOption = "",
    store: StoreOption = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Submit a job document, and say what to type next.

    DOCUMENT is a file in YAML or JSON, or - for stdin. It goes to --url or BATCHLAB_URL, else to the stack on AWS
    Batch. What the job may touch is what the settings there list. Its id goes to stdout; with --wait its report.
    Submitted twice, a document with an id or a key is one job.

    \b
    Examples:
      batchlab submit job.yaml --wait
      batchlab submit job.yaml --estimate --key event-7 --url https://jobs.example.com
      batchlab submit job.json --url "batch://my-queue/my-definition?store=s3://my-bucket/jobs"

    Exit code: 0 when it is submitted; with --wait that of the job, as for `batchlab watch`.
    """
    from batchlab.cli import views
    from batchlab.cli.documents import read_job
    from batchlab.cli.doors import service_door
    from batchlab.cli.watching import Watching, follow
    from batchlab.documents_taken import take
    from batchlab.job import Job as HeldJob

    read = read_job(document, "", known_elsewhere=True)
    job = take(read.document, idempotency_key=key or None, known_elsewhere=True)
    with service_door(url, name, store) as found:
        if estimate_first and not _agreed(found, job, yes=yes):
            return UsageError.exit_code
        held = HeldJob(found.backend, found.backend.submit(job))
        if not (quiet or as_json):
            say(_next(held, found, wait=wait))
        if wait:
            return follow(held, Watching(as_json=as_json, quiet=quiet), found.options)
        typer.echo(views.as_json(held.info) if as_json else held.id)
        return 0


def estimate(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", hidden=True)],
    prices: Annotated[
        str,
        typer.Option(
            "--prices", metavar="FILE", help="Another price table; it is estimated here.", show_default=False
        ),
    ] = "",
    url: UrlOption = "",
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say what a job would take: items, bytes, time and money.

    DOCUMENT is a file in YAML or JSON, or - for stdin. Nothing is submitted. Of sources without a size at most 20
    are looked at. What cannot be known is named.

    \b
    Examples:
      batchlab estimate job.yaml
      batchlab estimate job.yaml --url https://jobs.example.com --json
      batchlab estimate job.yaml --store s3://my-bucket/jobs --prices prices.json
    """
    from batchlab.cli import views
    from batchlab.cli.documents import read_job
    from batchlab.cli.doors import door

    job = read_job(document, "", known_elsewhere=True)
    with door(store, url) as found:
        if prices or not found.remote:
            estimated = _estimated_here(job, settings_of(store), prices, remote=found.remote)
        else:
            estimated = found.backend.estimate(job.document)
    typer.echo(views.as_json(estimated) if as_json else views.estimate_text(estimated, job.document.type))


def _agreed(found: Door, job: JobDocument, *, yes: bool) -> bool:
    """Whether the job is to be submitted after all; without a terminal only --yes can say so."""
    from batchlab.cli import views

    say(views.estimate_text(found.backend.estimate(job), job.type))
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("Nothing was submitted: nobody can be asked here. Add --yes.")
    if typer.confirm(f"Submit it to {found.place}?", default=False, err=True):
        return True
    say("Nothing was submitted.")
    return False


def _next(job: Job, found: Door, *, wait: bool) -> str:
    """What to type next."""
    lines = [f"Submitted to {found.place}." + (" Ctrl-C leaves the job alone." if wait else "")]
    commands = [
        (f"batchlab watch {job.id}{found.options}", "follow it to its end"),
        (f"batchlab logs {job.id}{found.options} -f", "what its runs write"),
        (f"batchlab cancel {job.id}{found.options}", "stop it"),
        (f"batchlab link {job.id}{found.options}", "where the customer gets it"),
    ]
    width = max(len(command) for command, _ in commands)
    lines += [f"  {command.ljust(width)}  {purpose}" for command, purpose in commands[wait:]]
    if job.info.page:
        lines.append(f"The customer's page: {job.info.page}")
    return "\n".join(lines)


def _estimated_here(job: NamedJob, settings: Settings, prices: str, *, remote: bool) -> Estimate:
    """What the document names may be looked at, as for `batchlab run`."""
    import dataclasses

    from batchlab.authority import Authority
    from batchlab.estimate import estimate as estimated
    from batchlab.kinds import ItemError
    from batchlab.prices import OURS

    if remote:
        settings = dataclasses.replace(settings, store="")  # it runs elsewhere, and that is paid for
    try:
        allowed = Authority.granted(sources=job.sources, settings=settings)
    except ItemError as error:
        raise UsageError(error.message) from None
    table = Path(prices).expanduser() if prices else OURS
    return estimated(job.document, settings, authority=allowed, prices=table)
