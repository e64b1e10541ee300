"""Running a job on this machine from the command line: granted, written to the store, run, and followed up."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from batchlab.authority import Authority
from batchlab.cli.options import store_of
from batchlab.cli.places import pretty
from batchlab.document import JobDocument
from batchlab.errors import Interrupted, UsageError
from batchlab.jobs import params_model
from batchlab.kinds import ItemError
from batchlab.local import processor_command, run_job
from batchlab.named import read_entries
from batchlab.records import JobRecords, submit_locally
from batchlab.settings import Settings
from batchlab.status import State
from batchlab.stores import open_store
from batchlab.streams import say
from batchlab.words import size

PASSWORD_REF = "password-file"  # noqa: S105  the name under which a job finds the file
_RETRIED = frozenset({State.PARTIAL, State.FAILED, State.CANCELLED})


@dataclass
class Job:
    """One job that the command line asks for."""

    document: JobDocument
    sources: list[str]  # URLs that its user named: granted
    outputs: list[str]
    described: str = ""  # "39 photos"
    size_bytes: int = 0  # as far as known for nothing
    named_on_command_line: list[str] = field(default_factory=list)  # a bad one of these stops the job at once
    password_file: str = ""
    config: str = ""  # a file of named entries, in place of the one that BATCHLAB_CONFIG names
    exact_target: bool = False  # the output is the very file, and not a folder that the document names


def run_here(
    job: Job,
    settings: Settings,
    *,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    summary: bool = True,
) -> int:
    """Runs `job` to its end; with `dry_run` only says what would be done.

    Without `summary` the caller tells what came of it.
    """
    grant = _grant(job, settings, overwrite=overwrite)
    _check_password(job.document, job.password_file)
    if dry_run and getattr(params_model(job.document.type), "previews", False):
        return _preview(job, grant if _grants(settings) else None, as_json=as_json)
    if dry_run:
        _say_what_would_be_done(job, settings, as_json=as_json)
        return 0
    processor_command()  # before the store is touched: a job that nobody can run is not made
    store = store_of(settings)
    records = submit_locally(store, job.document, grant if _grants(settings) else None)
    entries = config_environment(job.config, job.password_file)
    return _run(records, entries, job.password_file, as_json=as_json, quiet=quiet, summary=summary)


def run_again(
    records: JobRecords, *, password_file: str, as_json: bool, quiet: bool, config: str = ""
) -> int:
    """Starts the job's next generation, or goes on with the one that has not ended and that nobody works on."""
    processor_command()
    document = records.document()
    _check_password(document, password_file)
    entries = config_environment(config, password_file)
    status = records.status()
    if status.state in _RETRIED:
        records.start_retry()
    elif status.ended:
        raise UsageError(f"Job {records.id} {status.state}: there is nothing to retry.")
    elif records.at_work(status.generation):
        raise UsageError(
            f"Job {records.id} is being worked on: see batchlab status {records.id}. "
            "If its machine died, try again in a minute."
        )
    return _run(records, entries, password_file, as_json=as_json, quiet=quiet)


def config_environment(config: str, password_file: str = "") -> dict[str, str]:
    """What makes the processor read the named entries from the file `config`; raises UsageError for a bad one."""
    if not config:
        return {}
    if password_file:
        raise UsageError(
            "--config and --password-file: put the password into the configuration, under passwords."
        )
    try:
        read_entries(Path(config).expanduser(), {})
    except ValueError as error:
        raise UsageError("\n".join(f"--config: {line}" for line in str(error).splitlines())) from None
    return {"BATCHLAB_CONFIG": str(Path(config).expanduser().absolute())}


def _preview(job: Job, grant: Authority | None, *, as_json: bool) -> int:
    """Lets the processor plan, in a store that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="batchlab-") as folder:
        store = open_store(Path(folder).absolute().as_uri())
        records = submit_locally(store, job.document, grant)
        code = run_job(
            store.url,
            records.id,
            as_json=as_json,
            dry_run=True,
            environment=config_environment(job.config, job.password_file),
        )
    if code == 0:
        say("Nothing was written. Without --dry-run it is done.")
    return code


def _run(
    records: JobRecords,
    entries: dict[str, str],
    password_file: str,
    *,
    as_json: bool,
    quiet: bool,
    summary: bool = True,
) -> int:
    with _password_entry(records.document(), password_file) as environment:
        code = run_job(
            records.store.url,
            records.id,
            as_json=as_json,
            quiet=quiet,
            summary=summary,
            environment={**entries, **environment},
        )
    if code == Interrupted.exit_code:
        say(f"Interrupted. To go on where it was: batchlab retry {records.id}")
    elif code in (1, 3) and summary and not (quiet or as_json) and records.status().ended:
        say(f"What failed, and why: batchlab items {records.id} --failed")
    return code


def _grants(settings: Settings) -> bool:
    """Whether what a user names is granted: only where nobody else could write the grant."""
    return settings.store.startswith("file://")


def _grant(job: Job, settings: Settings, *, overwrite: bool) -> Authority:
    """What the user allowed by naming it; raises UsageError for a place that nobody may name."""
    if job.exact_target and not _grants(settings):
        raise UsageError(
            f"--store: what you name is granted to a job on this machine only, and the store is {settings.store}. "
            "Name a directory for this job: --store ~/.local/state/batchlab"
        )
    try:
        grant = (
            Authority.granted(
                sources=job.sources,
                outputs=job.outputs,
                allow_local=settings.allow_local,
                overwrite=overwrite,
                settings=settings,
                store_url=settings.store,
            )
            if _grants(settings)
            else Authority.of_settings(settings)
        )
    except ItemError as error:
        raise UsageError(error.message) from None
    refused = grant.refusals(
        job_type=job.document.type,  # the processor would refuse it when the job is in the store
        sources=job.named_on_command_line,
        outputs=job.outputs,
    )
    if refused:
        raise UsageError("\n".join(refused))
    return grant


def _check_password(document: JobDocument, password_file: str) -> None:
    ref = document.params.get("password_ref")
    if ref == PASSWORD_REF and not password_file:
        raise UsageError(
            "The ZIP of this job is encrypted: name the password again with --password-file FILE."
        )
    if password_file and ref is None:
        raise UsageError(f"--password-file: this {document.type} job takes no password.")
    if password_file:
        try:
            text = Path(password_file).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise UsageError(f"--password-file: {password_file} is not UTF-8. Save it as UTF-8.") from None
        except OSError as error:
            raise UsageError(f"--password-file: {password_file} cannot be read: {error.strerror}.") from None
        if not text.strip():
            raise UsageError(f"--password-file: {password_file} is empty.")
        if len(text.splitlines()) > 1:
            raise UsageError(f"--password-file: {password_file} holds several lines; a password is one line.")


@contextlib.contextmanager
def _password_entry(document: JobDocument, password_file: str) -> Iterator[dict[str, str]]:
    """The environment that lets the processor find the password: a configuration that names the file."""
    if not password_file:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="batchlab-") as folder:
        config = Path(folder, "config.json")
        entry = {
            "passwords": {document.params["password_ref"]: {"file": str(Path(password_file).absolute())}}
        }
        config.write_text(json.dumps(entry), encoding="utf-8")
        yield {"BATCHLAB_CONFIG": str(config)}


def _say_what_would_be_done(job: Job, settings: Settings, *, as_json: bool) -> None:
    document = job.document
    if as_json:
        body = {
            "document": document.as_json(),
            "size_bytes": job.size_bytes,
            "outputs": job.outputs,
            "store": settings.store,
        }
        sys.stdout.write(json.dumps(body, indent=2) + "\n")
        return
    figures = f", {size(job.size_bytes)}" if job.size_bytes else ""
    lines = [f"{document.type}: {job.described}{figures}" if job.described else document.type]
    lines += [f"  to     {pretty(url)}" for url in job.outputs]
    lines += [f"  store  {pretty(settings.store)}"]
    sys.stdout.write("\n".join(lines) + "\n")
    say("Nothing was written. Without --dry-run it is done.")
