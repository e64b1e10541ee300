"""The commands of db: what a job's database is to have, and what it has not been told yet."""

from __future__ import annotations

import typer

from batchlab.cli.options import ConfigOption, JobArgument, JsonOption, StoreOption, settings_of, store_of

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def db() -> None:
    """Finish what a database was not told, or print its tables.

    \b
    Examples:
      batchlab db apply latest
      batchlab db schema | psql "$DATABASE_URL"
    """


@app.command("apply")
def apply(
    job: JobArgument, config: ConfigOption = "", store: StoreOption = "", as_json: JsonOption = False
) -> int:
    """Make a job's pending database updates.

    ID is the job's id, an unmistakable beginning of it, or latest. When sheets were made and the database could
    not be told of them, the updates were kept; no sheet is made again.

    \b
    Examples:
      batchlab db apply latest
      batchlab db apply 01kax4 --config entries.yaml

    Exit code: 0 nothing is pending any more, 3 some still are, 1 the database refused all of them.
    """
    from batchlab.cli.choosing import choose_job
    from batchlab.cli.jobs_here import config_environment
    from batchlab.local import job_url, run_processor

    environment = config_environment(config)
    found = store_of(settings_of(store))
    arguments = ["db", "apply", "--job", job_url(found.url, choose_job(found, job)), "--store", found.url]
    return run_processor([*arguments, *(["--json"] if as_json else [])], environment=environment)


@app.command("schema")
def schema() -> int:
    """Print the tables of contact-sheets as SQL.

    \b
    Example:
      batchlab db schema | psql "$DATABASE_URL"
    """
    from batchlab.local import run_processor

    return run_processor(["db", "schema"])
