"""Commands that run a job on this machine: zip, run and retry."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from batchlab.cli.options import (
    AllowLocalOption,
    ConfigOption,
    DryRunOption,
    JobArgument,
    JsonOption,
    OverwriteOption,
    PasswordFileOption,
    QuietOption,
    StoreOption,
    UrlOption,
    settings_of,
)


def zip_photos(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", hidden=True)],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="URL", help="The ZIP: a path, or file://, s3://, r2:// or gs://; it ends in .zip."
        ),
    ],
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Photos in flight at once.")] = 5,
    compress: Annotated[
        str, typer.Option("--compress", metavar="text|never", help="text: deflate text files; photos stay.")
    ] = "never",
    max_archive_bytes: Annotated[
        str,
        typer.Option(
            "--max-archive-bytes",
            metavar="SIZE",
            help="Longer than, say, 4GB becomes album-1.zip, album-2.zip and so on.",
            show_default=False,
        ),
    ] = "",
    password_file: PasswordFileOption = "",
    deadline: Annotated[
        str,
        typer.Option(
            "--deadline", metavar="TIME", help="Deliver what is there after, say, 6h.", show_default=False
        ),
    ] = "",
    max_failures: Annotated[
        str,
        typer.Option(
            "--max-failures",
            metavar="N|N%",
            help="Stop when more photos fail. [default: never stop]",
            show_default=False,
        ),
    ] = "",
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="What people call the job.", show_default=False)
    ] = "",
    overwrite: OverwriteOption = False,
    allow_local: AllowLocalOption = False,
    store: StoreOption = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Turn photos into one ZIP, here and now.

    SOURCE is a directory (every file in it and below it, hidden ones left out), a file, a glob in quotes, a URL,
    a folder such as s3://bucket/event-7/ with its slash, or a list: .txt with a URL or path in each line, .csv
    with a column url, .jsonl or .json; - reads lines from stdin. Several may be given.

    A photo that cannot be had never stops the ZIP: it is listed in _missing.csv, in the report and by
    `batchlab items ID --failed`.

    \b
    Examples:
      batchlab zip ./wedding --to album.zip
      batchlab zip photos.csv --to s3://exports/ana-and-ben.zip --title "Ana & Ben"
      batchlab zip s3://uploads/event-7/ --to r2://exports/event-7.zip --workers 10
      batchlab zip 'day?/*.jpg' https://example.com/group.jpg --to ~/album.zip --dry-run

    Exit code: 0 all photos, 3 some are missing, 1 no ZIP, 2 nothing was tried, 75 interrupted.
    """
    from batchlab.cli.jobs_here import Job, run_here
    from batchlab.cli.places import parse_target
    from batchlab.cli.sources import find_sources
    from batchlab.cli.zip_job import zip_document

    settings = settings_of(store, allow_local=allow_local)
    target = parse_target(to, overwrite=overwrite)
    found = find_sources(sources, target=target.path)
    params: dict[str, Any] = {"items": found.items, "name": target.name, "compress": compress}
    if max_archive_bytes:
        params["max_archive_bytes"] = max_archive_bytes
    limits = {"workers": workers, "deadline": deadline, "max_failures": max_failures}
    job = Job(
        document=zip_document(params, target.output, title, limits, password_file),
        sources=found.named,
        outputs=[target.output if max_archive_bytes else target.url],
        described=found.described(),
        size_bytes=found.size_bytes,
        named_on_command_line=[source for source in sources if "://" in source],
        password_file=password_file,
        exact_target=True,
    )
    return run_here(job, settings, overwrite=overwrite, dry_run=dry_run, as_json=as_json, quiet=quiet)


def run(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", hidden=True)],
    config: ConfigOption = "",
    password_file: PasswordFileOption = "",
    overwrite: OverwriteOption = False,
    allow_local: AllowLocalOption = False,
    store: StoreOption = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Run a job document, here and now.

    DOCUMENT is a file in YAML or JSON, or - for stdin; `batchlab types --schema` says what may stand in it.

    What the document names is granted to the job, and nothing else. In it, texts that begin with ./ or ../ are
    places beside the document. The result goes to OUTPUT/NAME as the document says.

    \b
    Examples:
      batchlab run examples/zip-export/gallery.yaml
      batchlab run job.json --dry-run
      echo '{"type": "self-test"}' | batchlab run -

    Exit code: 0 all items, 3 some failed, 1 nothing delivered, 2 nothing was tried, 4 cancelled, 75 interrupted.
    """
    from batchlab.cli.documents import read_job
    from batchlab.cli.jobs_here import run_here

    settings = settings_of(store, allow_local=allow_local)
    job = read_job(document, password_file)
    job.config = config
    return run_here(job, settings, overwrite=overwrite, dry_run=dry_run, as_json=as_json, quiet=quiet)


def retry(
    job: JobArgument,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow it to its end, where somebody else runs it.")
    ] = False,
    config: ConfigOption = "",
    password_file: PasswordFileOption = "",
    url: UrlOption = "",
    store: StoreOption = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Run a job again for what failed, or go on with it.

    ID is the job's id, an unmistakable beginning of it, or latest.

    What a partial, failed or cancelled job has delivered is kept or made anew, as its type needs it; a job that
    was interrupted goes on where it was. Jobs of a store are run here, those of --url or BATCHLAB_URL there.

    \b
    Examples:
      batchlab retry latest
      batchlab retry 01kax4 --wait --url https://jobs.example.com

    Exit code: that of the job, as for `batchlab run`; 0 when it goes on elsewhere.
    """
    from batchlab.cli.choosing import choose_job
    from batchlab.cli.doors import door
    from batchlab.cli.jobs_here import run_again
    from batchlab.cli.retrying import retry_elsewhere
    from batchlab.cli.store_jobs import StoreJobs
    from batchlab.records import JobRecords

    with door(store, url) as found:
        if not isinstance(found.backend, StoreJobs):
            return retry_elsewhere(
                found, job, wait=wait, local_only=config or password_file, as_json=as_json, quiet=quiet
            )
        jobs = found.backend.store
    records = JobRecords(jobs, choose_job(jobs, job))
    return run_again(records, password_file=password_file, as_json=as_json, quiet=quiet, config=config)
