"""The demo: a job like any other, between a server that fails as arranged and lines that say what to type next."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

from batchlab.cli.jobs_here import Job, run_here
from batchlab.cli.options import store_of
from batchlab.cli.places import Target, pretty, url_of
from batchlab.cli.sources import find_sources
from batchlab.cli.tables import wrapped
from batchlab.cli.zip_job import zip_document
from batchlab.kinds import Kind
from batchlab.local import processor_serving
from batchlab.records import JobRecords
from batchlab.render import render
from batchlab.report import Report
from batchlab.settings import Settings, default_store
from batchlab.status import State
from batchlab.texts import file_name_problem

FOLDER = "batchlab-demo"  # below where the user is; .gitignore names it


def run_arranged(settings: Settings, *, quiet: bool) -> int:
    """Runs the demo with our own gallery; 0 when all went as arranged."""
    settings = on_this_machine(settings)
    with processor_serving(["demo"]) as served:
        if not quiet:
            sys.stderr.write(f"Serving {pretty(url_of(served['folder']))} at {served['url']}\n")
        items = [{"url": f"{served['url']}/{name}", "name": name, "id": name} for name in served["photos"]]
        job = _job(items, "gallery.zip", "Demo gallery", [served["url"]])
        code = run_here(
            job,
            dataclasses.replace(settings, allow_local=True),
            overwrite=True,
            dry_run=False,
            as_json=False,
            quiet=quiet,
            summary=False,
        )
    report = _report(job, settings)
    if report is not None:  # without its advice to retry: the server is gone by then
        _say(wrapped(render(report.model_copy(update={"recommendations": ()}))))
    if report is None or not _as_arranged(report, served):
        _say("The demo did not go as arranged: all photos but one should have been delivered.")
        return code or 1
    _say(
        "",
        f"1 photo is missing, as arranged: {served['missing']} (404 from the gallery).",
        f"{served['flaky']} came at the third attempt, as arranged (503 twice before).",
    )
    _say_next(Path(served["folder"]), job)
    return 0


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


def _report(job: Job, settings: Settings) -> Report | None:
    return JobRecords(store_of(settings), job.document.id).report(1)


def _as_arranged(report: Report, served: dict[str, Any]) -> bool:
    lost = [(failure.key, failure.kind) for failure in report.failures]
    return (
        report.state is State.PARTIAL
        and lost == [(served["missing"], Kind.MISSING)]
        and report.counts.done == len(served["photos"]) - 1
    )


def _say_next(gallery: Path, job: Job) -> None:
    """What to type next, as it works from where the user is."""
    root = gallery.parents[1]
    target = pretty(job.outputs[0])
    commands = [
        (f"unzip -l {target}", "what is in it"),
        (f"{_here(_this_command(root))} items latest --failed", "why one is missing"),
        (f"{_here(root / 'scripts' / 'demo')} DIR_OR_URLS", "the same with your own photos"),
        (f"{_here(root / 'scripts' / 'test')}", "the tests"),
        ("./deploy.sh", "to AWS: not in this version yet"),
    ]
    width = max(len(command) for command, _ in commands)
    _say("", f"The ZIP: {target}", "", "Next:")
    _say(*(f"  {command.ljust(width)}  {purpose}" for command, purpose in commands))


def _this_command(root: Path) -> Path:
    """The `batchlab` that runs: by its path when it is in an environment of the checkout, which is not on PATH."""
    beside = Path(sys.prefix, "bin", "batchlab")
    return beside if beside.is_relative_to(root) else Path("batchlab")


def _here(path: Path) -> str:
    """The path as it is typed from where the user is."""
    if not path.is_absolute():
        return str(path)
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
