"""Following a job from the command line: until it has ended, or its user has seen enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from batchlab.cli.options import JobArgument, JsonOption, QuietOption, StoreOption, UrlOption

if TYPE_CHECKING:
    from datetime import timedelta

    from batchlab.api import JobInfo
    from batchlab.job import Job

FAILED_FAST = 1  # the exit code of --fail-fast: design, section 3


def watch(
    job: JobArgument,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Leave when the first item has failed.")
    ] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Say changes of state and failures only.")
    ] = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="Leave after, say, 10m.", show_default=False)
    ] = "",
    url: UrlOption = "",
    store: StoreOption = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Follow a job to its end.

    ID is the job's id, an unmistakable beginning of it, or latest.

    A line that is drawn again on a terminal, lines elsewhere, and at the end the report. With --json the job
    as it was at the end. Ctrl-C leaves the job alone.

    \b
    Examples:
      batchlab watch latest
      batchlab watch 01kax4 --fail-fast --compact
      batchlab watch latest --timeout 10m --json

    Exit code: 0 all items, 3 some failed, 1 nothing delivered or --fail-fast, 4 cancelled or expired, 75 Ctrl-C,
    124 not ended in time.
    """
    from batchlab.cli.doors import door

    watching = Watching(fail_fast, compact, _duration(timeout), as_json, quiet)
    with door(store, url) as found:
        return follow(found.job(job), watching, found.options)


@dataclass(frozen=True)
class Watching:
    """How a job is watched."""

    fail_fast: bool = False
    compact: bool = False
    timeout: timedelta | None = None
    as_json: bool = False
    quiet: bool = False


def follow(job: Job, watching: Watching, options: str) -> int:
    """Shows the job until it has ended; the exit code is the job's, or 75 after Ctrl-C. Raises WaitTimeout."""
    from datetime import UTC, datetime

    from batchlab.cli import views
    from batchlab.cli.progress import choose_progress
    from batchlab.cli.tables import wrapped
    from batchlab.errors import Interrupted
    from batchlab.streams import say

    try:
        with choose_progress(compact=watching.compact, quiet=watching.quiet or watching.as_json) as progress:
            for info in job.watch(watching.timeout):
                progress.show(info)
                if watching.fail_fast and info.counts.failed and not info.ended:
                    break
    except KeyboardInterrupt:
        say(_detached(job.id, options))
        return Interrupted.exit_code
    info = job.info
    if watching.as_json:
        typer.echo(views.as_json(info))
    elif not info.ended:
        typer.echo(_failed_fast(job, info, options))
    else:
        typer.echo(wrapped(views.status_text(info, datetime.now(UTC), options)))
    return job.exit_code if info.ended else FAILED_FAST


def _detached(job_id: str, options: str) -> str:
    return (
        f"Detached: job {job_id} goes on.\n"
        f"  batchlab watch {job_id}{options}   follow it again\n"
        f"  batchlab cancel {job_id}{options}  stop it"
    )


def _failed_fast(job: Job, info: JobInfo, options: str) -> str:
    from itertools import islice

    from batchlab.words import counted, printable

    lines = [f"{counted(info.counts.failed, info.type)} failed; the job goes on:"]
    lines += [
        f"  {printable(item.key)}  {item.kind}: {printable(item.message)}"
        for item in islice(job.items("failed"), 5)
    ]
    return "\n".join([*lines, f"  -> To stop it: batchlab cancel {job.id}{options}"])


def _duration(text: str) -> timedelta | None:
    from batchlab.durations import parse_duration
    from batchlab.errors import UsageError

    try:
        return parse_duration(text) if text else None
    except ValueError as error:
        raise UsageError(f"--timeout: {error}.") from None
