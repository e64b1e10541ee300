"""The command logs: what the runs of a job wrote, wherever they ran."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from batchlab.cli.options import JobArgument, JsonOption, NameOption, StoreOption, UrlOption, settings_of

if TYPE_CHECKING:
    from datetime import datetime


def logs(
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    url: UrlOption = "",
    name: NameOption = "",
    store: StoreOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show what the runs of a job wrote.

    ID is the job's id, an unmistakable beginning of it, latest, or the id that AWS Batch gave it.

    All starts of the job, the oldest first: of an endpoint's jobs, of jobs that were submitted to a directory, and of
    jobs on AWS Batch from CloudWatch. With --json one object in each line.

    \b
    Examples:
      batchlab logs latest --follow
      batchlab logs latest --url https://jobs.example.com
      batchlab logs 876da822-4198-45f2-a252-6cea32512ea8
    """
    import json

    from batchlab.words import printable

    for at, text in _lines(job, url, name, store, follow=follow):
        if as_json:
            typer.echo(json.dumps({"at": at.isoformat(), "text": text}, ensure_ascii=False))
        else:
            for line in _said(text).splitlines():
                typer.echo(f"{at:%Y-%m-%d %H:%M:%S} {printable(line)}")


def _said(text: str) -> str:
    """What a line of ours says to people: runs elsewhere write JSON; other lines are left as they are."""
    import json

    try:
        line = json.loads(text)
        level, message = line["level"], line["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return text or " "
    said = str(message) if level == "INFO" else f"{level}: {message}"
    return "\n".join(filter(None, (said, line.get("exception"))))


def _lines(job: str, url: str, name: str, store: str, *, follow: bool) -> Iterator[tuple[datetime, str]]:
    from batchlab.batch.address import is_batch_url
    from batchlab.batch.explanation import batch_job_of, is_batch_id
    from batchlab.batch.jobs import BatchJobs
    from batchlab.cli.doors import door
    from batchlab.cli.on_aws import address_with_store, records_of

    settings = settings_of(store)
    wanted = url or ("" if name or store else settings.url)
    on_this_machine = not (wanted or name) and settings.store.startswith("file:")
    if (on_this_machine or wanted) and not (is_batch_id(job) or is_batch_url(wanted)):
        with door(store, url) as found:
            for line in found.job(job).logs(follow):
                yield line.at, line.text
        return
    address = address_with_store(url, name, store)
    batch_job = job
    if not is_batch_id(job):
        records = records_of(job, address)
        batch_job = batch_job_of(records, records.status().generation)
    for entry in BatchJobs(address).logs(batch_job, follow=follow):
        yield entry.at, entry.text
