"""A stranger's package with a job type of its own, as EXTRA_PACKAGES brings it into the image."""

from __future__ import annotations

import zipfile
from pathlib import Path


def stranger_wheel(folder: Path) -> str:
    """A job type of a stranger's package: `nap` sleeps once for each item, and each item is durable by itself."""
    name = "nap_jobs-1.0-py3-none-any.whl"
    files = {
        "nap_jobs.py": _NAP,
        "nap_jobs-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: nap-jobs\nVersion: 1.0\n"
        "Requires-Dist: batchlab-processor\n",
        "nap_jobs-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        "nap_jobs-1.0.dist-info/entry_points.txt": "[batchlab.jobs]\nnap = nap_jobs:NapJob\n",
    }
    record = "nap_jobs-1.0.dist-info/RECORD"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(record, "".join(f"{path},,\n" for path in (*files, record)))
    return f"/wheels/{name}"


_NAP = """
import os
from pydantic import BaseModel
from batchlab_processor.job import Entry, JobType, Plan


class Params(BaseModel):
    items: int
    seconds: float


class Nap(BaseModel):
    number: int


class Slept(BaseModel):
    attempt: str


class NapJob(JobType[Nap, Slept]):
    name = "nap"
    summary = "Sleeps."
    params = Params
    item = Nap
    result = Slept

    def durable(self, params):
        return "item"

    def plan(self, ctx):
        return Plan([Entry(f"{n:03d}", Nap(number=n)) for n in range(ctx.params.items)])

    def work(self, item, ctx):
        ctx.stop.wait(ctx.params.seconds)
        return Slept(attempt=os.environ["AWS_BATCH_JOB_ATTEMPT"])

    def collect(self, outcomes, ctx):
        for _ in outcomes:
            pass
        return []
"""
