"""The demo of contact sheets: a small marathon in a database of its own becomes sheets while one watches."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from batchlab.cli.demo_run import FOLDER, on_this_machine
from batchlab.cli.jobs_here import Job, run_here
from batchlab.cli.options import store_of
from batchlab.cli.places import path_of, pretty, url_of
from batchlab.cli.tables import wrapped
from batchlab.document import load_document
from batchlab.local import processor_serving
from batchlab.records import JobRecords
from batchlab.render import render
from batchlab.report import Report
from batchlab.settings import Settings

_DATABASE = "demo"  # the entry's name in the configuration that is made for this job


def run_sheets(settings: Settings, *, quiet: bool) -> int:
    """Makes the sheets in ./batchlab-demo/sheets; the exit code is the job's."""
    settings = on_this_machine(settings)
    with processor_serving(["demo", "contact-sheets"]) as served, tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "entries.json")
        config.touch(mode=0o600)
        config.write_text(json.dumps({"databases": {_DATABASE: served["database_url"]}}), encoding="utf-8")
        job = _job(served, str(config))
        code = run_here(
            job, settings, overwrite=True, dry_run=False, as_json=False, quiet=quiet, summary=False
        )
        report = JobRecords(store_of(settings), job.document.id).report(1)
    if report is not None:
        sys.stdout.write(_told(report))
    return code


def _job(served: dict[str, Any], config: str) -> Job:
    output = url_of(f"{FOLDER}/sheets")
    photos = url_of(served["photos"])
    body = {
        "type": "contact-sheets",
        "title": "City photo marathon",
        "output": output,
        "params": {"domain": served["domain"], "database": _DATABASE, "photos": photos},
    }
    sources = [f"{photos}/", url_of(served["logo"])]
    return Job(document=load_document(body), sources=sources, outputs=[output], config=config)


def _told(report: Report) -> str:
    # Without its links: the paths of all sheets follow.
    lines = [wrapped(render(report.model_copy(update={"artifacts": ()}))), "", "The sheets:"]
    for artifact in report.artifacts:
        path = path_of(artifact.url)
        lines.append(f"  {pretty(artifact.url) if path else artifact.url}")
    lines += ["", "How your own are made: docs/contact-sheets.md"]
    return "".join(f"{line}\n" for line in lines)
