"""What an export costs: time, CPU, memory. Runs the real command in a process of its own.

    scripts/bench zip --size 4GiB                    from many photos to a file
    scripts/bench zip --size 4GiB --single --to s3   from one photo to an S3 sink on loopback

Source and sink are `benchmarks.loopback`: a server that costs little and checks nothing. To a file the disk
is measured too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from batchlab.authority import Authority
from batchlab.document import load_document
from batchlab.records import JobRecords, submit_locally
from batchlab.sizes import parse_size
from batchlab.status import State
from batchlab.stores import open_store

_MIB = 1 << 20


@dataclass(frozen=True)
class Measured:
    """One run of the command."""

    size_bytes: int  # of the archive
    members: int
    wall_seconds: float
    cpu_seconds: float  # user and system, start of Python included
    peak_rss_mib: float  # of the largest process


def main() -> None:
    options = _options()
    photo_bytes = options.size if options.single else min(options.photo, options.size)
    count = max(1, options.size // photo_bytes)
    with loopback(photo_bytes) as port, tempfile.TemporaryDirectory() as folder:
        for _ in range(options.runs):
            measured = export(Path(folder), port, count, options)
            print(table(measured, count, photo_bytes, options.to), flush=True)


def export(folder: Path, port: int, count: int, options: argparse.Namespace) -> Measured:
    """Exports `count` photos by `batchlab-processor run`."""
    output = f"s3://bench/{time.time_ns()}" if options.to == "s3" else (folder / "out").as_uri()
    document = load_document(
        {
            "type": "zip-export",
            "params": {
                "items": [f"http://127.0.0.1:{port}/photos/{number:06}.jpg" for number in range(count)]
            },
            "output": output,
            "limits": {"workers": options.workers, "ahead_bytes": options.ahead},
        }
    )
    grant = Authority.granted(
        sources=[f"http://127.0.0.1:{port}/"],
        outputs=[output],
        allow_local=True,
        overwrite=True,
        exact_target=False,
    )
    store_url = (folder / "store").as_uri()
    records = submit_locally(open_store(store_url), document, grant)
    environment = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(folder),
        "S3_ENDPOINT": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "batchlab_processor", "run", "--quiet", "--store", store_url, "--job"]
    begin = time.monotonic()
    child = subprocess.Popen([*command, f"{store_url}/jobs/{document.id}/job.json"], env=environment)
    _, status, usage = os.wait4(child.pid, 0)  # counts the processes it started, too
    child.returncode = os.waitstatus_to_exitcode(status)
    wall_seconds = time.monotonic() - begin
    return _measured(
        records, child.returncode, wall_seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    )


def _measured(records: JobRecords, code: int, wall: float, cpu: float, peak_rss_mib: float) -> Measured:
    report = records.report(1)
    if report is None or report.state is not State.SUCCEEDED:
        sys.exit(f"The export ended with {code}: {report and (report.error or report.message)}")
    [artifact] = report.artifacts
    return Measured(artifact.size_bytes, artifact.members or 0, wall, cpu, peak_rss_mib)


def table(measured: Measured, count: int, photo_bytes: int, to: str) -> str:
    """The figures in two lines, with their names above them."""
    gigabytes = measured.size_bytes / 1e9
    names = ("photos", "MiB each", "to", "GB", "wall s", "MB/s", "CPU-s/GB", "peak RSS MiB")
    head = " ".join(f"{name:>{width}}" for name, width in zip(names, (8, 9, 5, 7, 8, 7, 9, 13), strict=True))
    row = (
        f"{count:>8,} {photo_bytes / _MIB:>9.1f} {to:>5} {gigabytes:>7.2f} {measured.wall_seconds:>8.1f} "
        f"{measured.size_bytes / 1e6 / measured.wall_seconds:>7.0f} {measured.cpu_seconds / gigabytes:>9.2f} "
        f"{measured.peak_rss_mib:>13.0f}"
    )
    return f"{head}\n{row}"


@contextmanager
def loopback(photo_bytes: int) -> Iterator[int]:
    """The port of a source and sink that runs until the block ends."""
    command = [sys.executable, "-m", "benchmarks.loopback", str(photo_bytes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.stdin.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench zip", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=parse_size, default="1GiB", help="bytes of all photos together (1GiB)")
    parser.add_argument("--photo", type=parse_size, default="4MiB", help="bytes of one photo (4MiB)")
    parser.add_argument("--single", action="store_true", help="one photo of --size")
    parser.add_argument("--to", choices=("file", "s3"), default="file")
    parser.add_argument("--workers", type=int, default=5, help="limits.workers (5)")
    parser.add_argument("--ahead", type=parse_size, default="256MiB", help="limits.ahead_bytes (256MiB)")
    parser.add_argument("--runs", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
