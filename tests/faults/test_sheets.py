"""Contact sheets under kill -9, a decoder that crashes, and a slow way to the database.

BATCHLAB_TEST_FAULTS is the number of kills (docs/reliability.md has the by-hand figures).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from tests.processor.jobs.contact_sheets.marathon import GALLERY, TINY, Marathon
from tests.servers import S3Server

pytestmark = pytest.mark.faults
KILLS = int(os.environ.get("BATCHLAB_TEST_FAULTS", "4"))
PARTICIPANTS = 60
LONGEST_JITTER_SECONDS = 0.3

# Stands in for a decoder with a defect: it dies of the photo that begins with these bytes.
CRASHING = """
import os, signal, sys
from importlib.abc import MetaPathFinder
from importlib.util import find_spec

NAME = "batchlab_processor.jobs.contact_sheets.photo"

class Plant(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != NAME:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            real = module.photo_image

            def deadly(photo, *more):
                if bytes(photo[:6]) == b"DEADLY":
                    os.kill(os.getpid(), signal.SIGSEGV)
                return real(photo, *more)

            module.photo_image = deadly

        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Plant())
"""


@dataclass
class Race:
    """One job over the marathon, run by the real command."""

    marathon: Marathon
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.out = self.directory / "out"
        params = {
            **TINY,
            "domain": self.marathon.domain,
            "database": "race",
            "photos": self.marathon.photos.as_uri(),
        }
        self.document = {
            "type": "contact-sheets",
            "params": params,
            "output": self.out.as_uri(),
            "limits": {"workers": 4},
        }

    def submit(self) -> str:
        """Writes the job into the store, granted as `batchlab run` does; its URL."""
        from batchlab.authority import Authority
        from batchlab.document import load_document
        from batchlab.records import submit_locally
        from batchlab.stores import open_store

        store = open_store(self.store)
        grant = Authority.granted(
            sources=[f"{self.marathon.photos.as_uri()}/"],
            outputs=[str(self.document["output"])],
            store_url=store.url,
        )
        records = submit_locally(store, load_document(self.document), grant)
        return f"{store.url}/jobs/{records.id}/job.json"

    @property
    def store(self) -> str:
        return (self.directory / "store").as_uri()

    def start(self, job: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
        config = self.directory / "entries.json"
        config.write_text(json.dumps({"databases": {"race": self.marathon.url}}))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "BATCHLAB_CONFIG": str(config),
            **self.environment,
        }
        command = [
            sys.executable,
            "-m",
            "batchlab_processor",
            "run",
            "--job",
            job,
            "--store",
            self.store,
            "--json",
        ]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)

    def run(self, job: str) -> tuple[int, dict[str, Any]]:
        with (self.directory / "log").open("ab") as log, self.start(job, log) as process:
            assert process.stdout is not None
            said = process.stdout.read()
        return process.returncode, json.loads(said) if said.strip() else {}

    def said(self) -> str:
        """The end of what the runs said."""
        return (self.directory / "log").read_text()[-3000:]

    def sheets(self) -> dict[str, Any]:
        """The sheets that are there, and which upload each is of."""
        return {path.parent.name: path.stat().st_ino for path in self.out.rglob("*.jpg")}

    def count(self) -> int:
        return len(self.sheets())

    def files(self) -> list[str]:
        """Every file, hidden ones too, by its last folder and name."""
        return sorted(f"{path.parent.name}/{path.name}" for path in self.out.rglob("*") if path.is_file())


@dataclass
class BucketRace(Race):
    """The same, its sheets in a bucket."""

    bucket: str = ""
    client: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.prefix = f"{self.directory.name}/"
        self.document["output"] = f"s3://{self.bucket}/{self.directory.name}"

    def sheets(self) -> dict[str, Any]:
        words = {}
        for key in self._keys():
            metadata = self.client.head_object(Bucket=self.bucket, Key=key)["Metadata"]
            words[key.split("/")[-2]] = metadata["batchlab-write"]  # a word of each writer's own
        return words

    def count(self) -> int:
        return len(self._keys())

    def files(self) -> list[str]:
        assert "Uploads" not in self.client.list_multipart_uploads(Bucket=self.bucket)
        return sorted("/".join(key.split("/")[-2:]) for key in self._keys())

    def _keys(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix).get("Contents", [])
        return [each["Key"] for each in found]


@contextmanager
def crowd(url: str, directory: Path, participants: int) -> Iterator[Marathon]:
    marathon = Marathon(url, directory / "uploads")
    marathon.photos.mkdir(parents=True)
    marathon.create()
    keys = []
    for number, photo in enumerate(sorted(GALLERY.glob("*.jpg"))[:8]):
        keys.append(f"{number}.jpg")
        (marathon.photos / keys[-1]).write_bytes(photo.read_bytes())
    for number in range(participants):
        marathon.insert(f"{number:03}", keys)
    yield marathon


def test_a_job_that_is_killed_again_and_again_makes_every_sheet_once_and_tells_every_row(
    tmp_path: Path, database_url: str
) -> None:
    with crowd(database_url, tmp_path, PARTICIPANTS) as marathon:
        kill_and_resume(marathon, lambda number: Race(marathon, new_folder(tmp_path, number)))


def test_the_same_holds_in_a_bucket(
    tmp_path: Path, database_url: str, seaweedfs: S3Server, seaweedfs_bucket: str
) -> None:
    client = seaweedfs.client()
    with crowd(database_url, tmp_path, PARTICIPANTS) as marathon:
        kill_and_resume(
            marathon,
            lambda number: BucketRace(
                marathon,
                new_folder(tmp_path, number),
                seaweedfs.environment(),
                bucket=seaweedfs_bucket,
                client=client,
            ),
        )
    client.close()


def new_folder(parent: Path, number: int) -> Path:
    folder = parent / f"round{number}"
    folder.mkdir()
    return folder


def kill_and_resume(marathon: Marathon, new_race: Callable[[int], Race]) -> None:
    """Jobs one after another, each killed until it ends, until all kills are used."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    kills = rounds = late = 0
    while kills < KILLS:
        marathon.execute(
            "UPDATE participants SET contact_sheet_key = NULL, contact_sheet_pages = NULL, "
            "contact_sheet_made_at = NULL"
        )
        rounds += 1
        race = new_race(rounds)
        job = race.submit()
        seen: dict[str, Any] = {}
        while kills < KILLS and kill_once(race, job, chance):
            now = race.sheets()
            assert {name: now[name] for name in seen} == seen, "a sheet was uploaded twice"
            seen = now
            kills += 1
            late += len(seen) == PARTICIPANTS
        code, report = race.run(job)
        assert (code, report.get("state")) == (0, "succeeded"), race.said()
        now = race.sheets()
        assert {name: now[name] for name in seen} == seen, "a sheet was uploaded twice"
        check(race, report)
    print(f"seed {seed}: {kills} kills in {rounds} rounds, {late} of them after the last sheet")


def kill_once(race: Race, job: str, chance: random.Random) -> bool:
    """Starts a run and kills it after some more sheets and a moment; False when it had ended before."""
    before = race.count()
    wanted = min(PARTICIPANTS, before + chance.randint(0, 8))
    with (race.directory / "log").open("ab") as log, race.start(job, log) as process:
        while race.count() < wanted and process.poll() is None:
            time.sleep(0.002)
        if wanted == before:  # nothing to wait for: anywhere from the first import on
            time.sleep(chance.uniform(0, 2.0))
        time.sleep(chance.uniform(0, LONGEST_JITTER_SECONDS))
        process.kill()
        process.communicate()
    return process.returncode == -9


def check(race: Race, report: dict[str, Any]) -> None:
    """Every sheet is there, every row names its own, and nothing else is left."""
    numbers = [f"{number:03}" for number in range(PARTICIPANTS)]
    assert report["facts"]["database_updates"] == {"succeeded": PARTICIPANTS, "failed": 0}
    assert race.marathon.rows() == {number: (f"spring/{number}/contact-sheet.jpg", 1) for number in numbers}
    assert race.files() == [f"{number}/contact-sheet.jpg" for number in numbers]


def test_a_decoder_that_crashes_costs_its_participant_and_nobody_else(
    tmp_path: Path, database_url: str
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(CRASHING)
    with crowd(database_url, tmp_path, 10) as marathon:
        (marathon.photos / "deadly.jpg").write_bytes(b"DEADLY")
        marathon.execute("UPDATE submissions SET key = 'deadly.jpg' WHERE id = 30")  # one of 003's
        race = Race(marathon, tmp_path / "race", {"PYTHONPATH": str(tmp_path / "site")})
        race.directory.mkdir()
        code, report = race.run(race.submit())
        assert (code, report.get("state")) == (3, "partial"), race.said()
        assert [(failure["key"], failure["kind"]) for failure in report["failures"]] == [("003", "crash")]
        assert report["runs"] == 3
        assert race.count() == 9
        told = {reference for reference, (key, _) in marathon.rows().items() if key}
        assert told == set(race.sheets())
