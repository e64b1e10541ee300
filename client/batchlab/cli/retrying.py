"""Asking whoever runs a job to take it up again."""

from __future__ import annotations

import typer

from batchlab.cli import views
from batchlab.cli.doors import Door
from batchlab.cli.watching import Watching, follow
from batchlab.errors import UsageError
from batchlab.streams import say


def retry_elsewhere(found: Door, job: str, *, wait: bool, local_only: str, as_json: bool, quiet: bool) -> int:
    """The next generation is on its way; with `wait` it has ended, and the exit code is the job's.

    `local_only` is an option that means nothing elsewhere; raises UsageError for one.
    """
    if local_only:
        raise UsageError(
            f"{found.place} runs the job, with its own configuration: leave out --config and --password-file."
        )
    held = found.job(job)
    info = held.retry()
    if wait:
        return follow(held, Watching(as_json=as_json, quiet=quiet), found.options)
    if as_json:
        typer.echo(views.as_json(info))
        return 0
    typer.echo(held.id)
    if not quiet:
        say(f"Generation {info.generation} is on its way. See: batchlab watch {held.id}{found.options}")
    return 0
