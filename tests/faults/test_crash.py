"""A stranger's job type whose item kills its process costs that item, not the job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.faults

FRAGILE = '''
import os, signal
from typing import ClassVar
from pydantic import BaseModel
from batchlab_processor.job import Entry, JobType, Plan

class Params(BaseModel):
    count: int = 30
    deadly: dict[str, str] = {}

class Item(BaseModel):
    name: str

class Fragile(JobType[Item, Item]):
    """Does nothing, and dies of some items."""
    name: ClassVar[str] = "fragile"
    summary = "Dies of some items."
    params = Params
    item = Item
    result = Item

    def plan(self, ctx):
        names = [f"k{number}" for number in range(ctx.params.count)]
        return Plan([Entry(name, Item(name=name)) for name in names], {"deadly": ctx.params.deadly})

    def work(self, item, ctx):
        how = ctx.facts["deadly"].get(item.name)
        if how:
            os.kill(os.getpid(), getattr(signal, how))
        return item
'''


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder that, on PYTHONPATH, is an installed distribution with the job type."""
    folder = tmp_path / "site"
    info = folder / "fragile-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "fragile.py").write_text(FRAGILE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fragile\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[batchlab.jobs]\nfragile = fragile:Fragile\n[batchlab.params]\nfragile = fragile:Params\n"
    )
    return folder


def run(installed: Path, tmp_path: Path, params: dict[str, Any]) -> tuple[int, dict[str, Any], str]:
    document = json.dumps({"type": "fragile", "params": params, "limits": {"workers": 4}})
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(installed),
        "BATCHLAB_STORE": f"file://{tmp_path}/store",
        "BATCHLAB_JOB_TYPES": "fragile",
    }
    command = [sys.executable, "-m", "batchlab_processor", "run", "--job", document, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


@pytest.mark.parametrize("signal_name", ["SIGSEGV", "SIGABRT"])
def test_an_item_that_kills_its_process_twice_is_failed_and_the_others_are_done(
    installed: Path, tmp_path: Path, signal_name: str
) -> None:
    code, report, _ = run(installed, tmp_path, {"deadly": {"k7": signal_name}})
    assert code == 3
    assert [(failure["key"], failure["kind"]) for failure in report["failures"]] == [("k7", "crash")]
    assert signal_name in report["failures"][0]["message"]
    assert report["counts"]["done"] == 29
    assert report["runs"] == 3


def test_two_deadly_items_cost_two_items(installed: Path, tmp_path: Path) -> None:
    code, report, _ = run(installed, tmp_path, {"deadly": {"k0": "SIGSEGV", "k29": "SIGBUS"}})
    assert code == 3
    assert {failure["key"] for failure in report["failures"]} == {"k0", "k29"}
    assert report["counts"]["done"] == 28


def test_a_stranger_s_job_type_comes_through_the_same_door_as_ours(installed: Path, tmp_path: Path) -> None:
    code, report, said = run(installed, tmp_path, {"count": 3})
    assert (code, report["state"], report["counts"]["done"]) == (0, "succeeded", 3), said
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "batchlab_processor", "types"]
    listed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "fragile  Dies of some items." in listed.stdout
