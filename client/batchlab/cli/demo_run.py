"""The demo: a job like any other, from a gallery that fails as arranged to lines that say what to type next."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

from batchlab.api import JobInfo
from batchlab.cli.demo_serve import Allowed, free_store, page_file, serving_endpoint
from batchlab.cli.jobs_here import Job, run_here
from batchlab.cli.places import Target, pretty, url_of
from batchlab.cli.progress import choose_progress
from batchlab.cli.sources import find_sources
from batchlab.cli.tables import wrapped
from batchlab.cli.zip_job import zip_document
from batchlab.client import Client
from batchlab.documents_of_types import ZipExport
from batchlab.kinds import Kind
from batchlab.local import processor_serving
from batchlab.render import render
from batchlab.report import Report
from batchlab.service.serving import PORT
from batchlab.settings import Settings, default_store
from batchlab.status import State
from batchlab.streams import say
from batchlab.texts import file_name_problem

_PATIENCE_SECONDS = 120.0  # for a job of two
FOLDER = "batchlab-demo"  # below where the user is; .gitignore names it


def run_arranged(settings: Settings, *, quiet: bool) -> int:
    """Submits our own gallery to an endpoint and follows it to its end; 0 when all went as arranged."""
    output = url_of(FOLDER)
    store = free_store(on_this_machine(settings).store, f"{output}/store")
    with processor_serving(["demo"]) as served:
        allowed = Allowed(served["url"].partition("://")[2], output)
        if not quiet:
            say(f"Photos     {pretty(url_of(served['folder']))} at {served['url']}")
        with serving_endpoint(store, allowed) as address, Client(address) as client:
            if not quiet:
                say(f"Endpoint   {address}, by batchlab serve --store {pretty(store)}")
            job = client.jobs.submit(_album(served, output))
            if not quiet:
                say(f"Submitted  {job.id}, with the Python client")
            with choose_progress(compact=False, quiet=quiet) as progress:
                info = job.wait(_PATIENCE_SECONDS, on_progress=progress.show)
    report = info.report
    if report is not None:  # without its advice to retry: the server is gone by then
        _say(wrapped(render(report.model_copy(update={"recommendations": (), "artifacts": ()}))))
    if report is None or not _as_arranged(report, served):
        _say("The demo did not go as arranged: all photos but one should have been delivered.")
        return 1
    _say(
        "",
        f"1 photo is missing, as arranged: {served['missing']} (404 from the gallery).",
        f"{served['flaky']} came at the third attempt, as arranged (503 twice before).",
    )
    _say_next(Path(served["folder"]), info, store, output)
    return 0


def _album(served: dict[str, Any], output: str) -> ZipExport:
    items = [{"url": f"{served['url']}/{name}", "name": name, "id": name} for name in served["photos"]]
    return ZipExport(items=items, output=output, name="gallery.zip", title="Demo gallery", expires="7d")


def run_own(arguments: list[str], settings: Settings, *, quiet: bool) -> int:
    """Runs the demo with the user's own photos; the exit code is the job's."""
    settings = on_this_machine(settings)
    found = find_sources(arguments)
    stem = Path(arguments[0]).expanduser().resolve().name if len(arguments) == 1 and found.photos > 1 else ""
    name = f"{stem}.zip"
    job = _job(found.items, "photos.zip" if not stem or file_name_problem(name) else name, "", found.named)
    code = run_here(job, settings, overwrite=True, dry_run=False, as_json=False, quiet=quiet)
    if code in (0, 3):
        _say("", f"Look into it: unzip -l {pretty(job.outputs[0])}")
    return code


def _job(items: list[dict[str, Any]], name: str, title: str, named: list[str]) -> Job:
    target = Target(url_of(FOLDER), name)
    document = zip_document({"items": items, "name": name}, target.output, title, {}, "")
    return Job(document=document, sources=named, outputs=[target.url], exact_target=True)


def on_this_machine(settings: Settings) -> Settings:
    """The settings, with the user's own store in place of a bucket, where nothing can be granted."""
    if settings.store.startswith("file://"):
        return settings
    return dataclasses.replace(settings, store=default_store(os.environ))


def _as_arranged(report: Report, served: dict[str, Any]) -> bool:
    lost = [(failure.key, failure.kind) for failure in report.failures]
    return (
        report.state is State.PARTIAL
        and lost == [(served["missing"], Kind.MISSING)]
        and report.counts.done == len(served["photos"]) - 1
    )


def _say_next(gallery: Path, info: JobInfo, store: str, output: str) -> None:
    """Where it is, and what to type next, as it works from where the user is."""
    root = gallery.parents[1]
    program = _here(_this_command(root))
    target = pretty(info.artifacts[0].url)
    kept = "" if store == default_store(os.environ) else f" --store {pretty(store)}"
    page = info.page or ""
    port = (
        ""
        if page.startswith(f"http://127.0.0.1:{PORT}/")
        else f" --port {page.split('/')[2].rpartition(':')[2]}"
    )
    _say("", f"The ZIP: {target}", f"The customer's page: {page}", "", "Next:")
    commands = [
        (f"unzip -l {target}", "what is in it"),
        (f"{program} items latest --failed{kept}", "why one is missing"),
        (f"{_here(root / 'scripts' / 'demo')} DIR_OR_URLS", "a ZIP of your own photos"),
        (f"{_here(root / 'scripts' / 'test')}", "the tests"),
        (f"{_here(root / 'deploy.sh')}", "the same in your AWS account"),
    ]
    width = max(len(command) for command, _ in commands)
    _say(*(f"  {command.ljust(width)}  {purpose}" for command, purpose in commands))
    until = f", until {info.expires_at:%Y-%m-%d %H:%M} UTC" if info.expires_at else ""
    _say(
        "",
        f"The page opens while an endpoint serves it{until}:",
        f"  BATCHLAB_OUTPUT_ROOTS={output} {program} serve{kept}{port}",
        f"As a file it is {page_file(store, page)}",
    )


def _this_command(root: Path) -> Path:
    """The `batchlab` that runs: by its path when it is in an environment of the checkout, which is not on PATH."""
    beside = Path(sys.prefix, "bin", "batchlab")
    return beside if beside.is_relative_to(root) else Path("batchlab")


def _here(path: Path) -> str:
    """The path as it is typed from where the user is; a shell takes a bare name for a program of PATH."""
    if not path.is_absolute():
        return str(path)
    if path.parent == Path.cwd():
        return f"./{path.name}"
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
