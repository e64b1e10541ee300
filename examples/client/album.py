"""Submits the photos of a list as one ZIP and follows it to its end; started again, it follows the same job.

    export BATCHLAB_URL=https://jobs.example.com BATCHLAB_TOKEN=...
    python album.py event-7 photos.csv s3://bucket/exports

photos.csv has the columns url and name. The exit code is the job's: 0 all photos, 3 some are missing, 1 no ZIP.
"""

import csv
import sys
from pathlib import Path

from batchlab import Client, Job, JobInfo, ZipExport


def submit(client: Client, event: str, photos: Path, output: str) -> Job:
    """The job of this event, however often this is called: the event is its key."""
    with photos.open(encoding="utf-8", newline="") as lines:
        items = [{"url": row["url"], "name": row["name"]} for row in csv.DictReader(lines)]
    album = ZipExport(
        items=items, output=output, name=f"{event}.zip", title=f"Photos of {event}", expires="14d"
    )
    return client.jobs.submit(album, idempotency_key=event, tags={"event": event})


def show(info: JobInfo) -> None:
    print(
        f"{info.state}: {info.counts.done} of {info.counts.total}, {info.counts.failed} failed",
        file=sys.stderr,
    )


def main(event: str, photos: str, output: str) -> int:
    with Client.from_env() as client:
        job = submit(client, event, Path(photos), output)
        info = job.wait(on_progress=show)
        for item in job.items(status="failed"):
            print(f"{item.key}: {item.message}", file=sys.stderr)
        if info.artifacts:
            print(job.link().page)
        return job.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
