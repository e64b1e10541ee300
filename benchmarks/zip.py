"""What an export costs: time, CPU, memory. Runs the real command in a process of its own.

    scripts/bench zip --size 4GiB                    from many photos to a file
    scripts/bench zip --size 4GiB --single --to s3   from one photo to an S3 sink on loopback
    scripts/bench zip --peers --tls                  beside what people use today, over TLS both ways

Source and sink are `benchmarks.loopback`: a server that costs little and checks nothing. To a file the disk
is measured too. With --peers ours runs before each peer, in turn, and ratios are taken pair by pair.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from batchlab.authority import Authority
from batchlab.document import load_document
from batchlab.records import submit_locally
from batchlab.sizes import parse_size
from batchlab.status import State
from batchlab.stores import open_store
from benchmarks.loopback import Loopback, serving
from benchmarks.peers import PEERS, Peer, install

NAMES = [peer.name for peer in PEERS]
_MIB = 1 << 20
# Each tool reads the certificates to trust from a variable of its own.
_TRUST = ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
# What a ZIP may need beyond its photos: headers and directory.
_MEMBER_BYTES = 512


@dataclass(frozen=True)
class Measured:
    """One run of a command."""

    size_bytes: int  # of the archive
    wall_seconds: float
    cpu_seconds: float  # user and system of the whole process tree, start included
    peak_rss_mib: float  # of the largest process; never less than this process has itself

    @property
    def cpu_seconds_per_gb(self) -> float:
        return self.cpu_seconds / self.size_bytes * 1e9

    @property
    def megabytes_per_second(self) -> float:
        return self.size_bytes / 1e6 / self.wall_seconds


@dataclass(frozen=True)
class Exports:
    """The same export, made by ours and by others."""

    place: Loopback
    folder: Path
    photos: int
    photo_bytes: int
    options: argparse.Namespace

    def ours(self, to: str = "s3") -> Measured:
        """By `batchlab-processor run`, guard on."""
        bucket, key = "bench", f"ours-{time.time_ns()}"
        output = f"s3://{bucket}/{key}" if to == "s3" else (self.folder / "out").as_uri()
        urls = [f"{self.place.url}/photos/{number:06}.jpg" for number in range(self.photos)]
        limits = {"workers": self.options.workers, "ahead_bytes": self.options.ahead}
        document = load_document(
            {"type": "zip-export", "params": {"items": urls}, "output": output, "limits": limits}
        )
        grant = Authority.granted(
            sources=[f"{self.place.url}/"], outputs=[output], allow_local=True, overwrite=True, exact_target=False
        )  # fmt: skip
        store_url = (self.folder / "store").as_uri()
        records = submit_locally(open_store(store_url), document, grant)
        command = [sys.executable, "-m", "batchlab_processor", "run", "--quiet", "--store", store_url]
        profiler = self.options.under.split() if self.options.under else []
        code, *costs = self._run([*profiler, *command, "--job", f"{store_url}/jobs/{document.id}/job.json"])
        report = records.report(1)
        if report is None or report.state is not State.SUCCEEDED:
            sys.exit(f"The export ended with {code}: {report and (report.error or report.message)}")
        [artifact] = report.artifacts
        if to == "s3":
            self._check(self.place.received_bytes(*artifact.url.removeprefix("s3://").split("/", 1)), "ours")
        return Measured(artifact.size_bytes, *costs)

    def theirs(self, peer: Peer) -> Measured:
        """By a peer's program."""
        bucket, key = "bench", f"{peer.name}-{time.time_ns()}.zip"
        words = (f"{self.place.url}/photos", self.photos, self.place.url, bucket, key, self.options.workers)
        code, *costs = self._run([*peer.command(), *map(str, words)])
        if code:
            sys.exit(f"{peer.name} ended with {code}")
        size = self.place.received_bytes(bucket, key)
        self._check(size, peer.name)
        return Measured(size, *costs)

    def _run(self, command: Sequence[str]) -> tuple[int, float, float, float]:
        """Exit code, wall seconds, CPU seconds, peak RSS in MiB."""
        environment = {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(self.folder),
            "S3_ENDPOINT": self.place.url,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
        }
        if self.place.authority:
            environment |= dict.fromkeys(_TRUST, str(self.place.authority))
        begin = time.monotonic()
        child = subprocess.Popen(command, env=environment)
        _, status, usage = os.wait4(child.pid, 0)  # counts the processes it started, too
        wall = time.monotonic() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        return child.returncode, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

    def _check(self, received: int, name: str) -> None:
        photos = self.photos * self.photo_bytes
        if not photos < received <= photos + _MEMBER_BYTES * (self.photos + 1):
            sys.exit(f"{name} delivered {received:,} bytes of {photos:,} bytes of photos")


def main() -> None:
    options = _options()
    photo_bytes = options.size if options.single else min(options.photo_size, options.size)
    count = options.photos or max(1, options.size // photo_bytes)
    if options.peers is not None:
        install()
    with serving(photo_bytes, tls=options.tls) as place, tempfile.TemporaryDirectory() as folder:
        exports = Exports(place, Path(folder), count, photo_bytes, options)
        cpu = f"{os.cpu_count()}-core {platform.machine()}, Python {platform.python_version()}"
        load = f"load {os.getloadavg()[0]:.1f} before"
        print(
            f"{datetime.now(UTC):%Y-%m-%d}, {cpu}, {load}; {count:,} photos of {photo_bytes / _MIB:.1f} MiB",
            end="",
        )
        print(f" over {'TLS' if options.tls else 'http'} to {options.to}, workers {options.workers}\n")
        if options.peers is None:
            table([("ours", [exports.ours(options.to) for _ in range(options.runs)])])
        else:
            compare(exports, [peer for peer in PEERS if peer.name in (options.peers or NAMES)], options.pairs)
        print(f"\nLoad after: {os.getloadavg()[0]:.1f}.")


def compare(exports: Exports, peers: Sequence[Peer], pairs: int) -> None:
    """Ours and each peer in turn, `pairs` times; prints medians, and ratios pair by pair."""
    both: dict[str, list[tuple[Measured, Measured]]] = {peer.name: [] for peer in peers}
    for _ in range(pairs):
        for peer in peers:
            both[peer.name].append((exports.ours(), exports.theirs(peer)))
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    ours = [pair[0] for runs in both.values() for pair in runs]
    table([("ours", ours), *((peer.made_of, [pair[1] for pair in both[peer.name]]) for peer in peers)])
    print("\n| Ours beside | CPU: theirs / ours | MB/s: ours / theirs |\n|---|---|---|")
    for peer in peers:
        cpu = _ratios(
            both[peer.name], lambda ours, theirs: theirs.cpu_seconds_per_gb / ours.cpu_seconds_per_gb
        )
        speed = _ratios(
            both[peer.name], lambda ours, theirs: ours.megabytes_per_second / theirs.megabytes_per_second
        )
        print(f"| {peer.made_of} | {cpu} | {speed} |")


def _ratios(pairs: Sequence[tuple[Measured, Measured]], ratio: Callable[[Measured, Measured], float]) -> str:
    found = [ratio(*pair) for pair in pairs]
    return f"**{median(found):.1f}** ({', '.join(f'{value:.1f}' for value in found)})"


def table(rows: Sequence[tuple[str, Sequence[Measured]]]) -> None:
    """Medians, as Markdown."""
    print("| Export by | runs | wall s | MB/s | CPU-s/GB | peak RSS MiB |\n|---|--:|--:|--:|--:|--:|")
    for name, runs in rows:
        print(
            f"| {name} | {len(runs)} | {median(run.wall_seconds for run in runs):.1f} "
            f"| {median(run.megabytes_per_second for run in runs):.0f} "
            f"| {median(run.cpu_seconds_per_gb for run in runs):.1f} "
            f"| {median(run.peak_rss_mib for run in runs):.0f} |"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench zip", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=parse_size, default="1GiB", help="bytes of all photos together (1GiB)")
    parser.add_argument("--photos", type=int, help="how many photos, instead of --size (with --peers: 300)")
    parser.add_argument("--photo-size", type=parse_size, default="4MiB", help="bytes of one photo (4MiB)")
    parser.add_argument("--single", action="store_true", help="one photo of --size")
    parser.add_argument("--to", choices=("file", "s3"), default="file")
    parser.add_argument("--tls", action="store_true", help="source and sink speak TLS")
    parser.add_argument("--workers", type=int, default=5, help="downloads at once (5)")
    parser.add_argument("--ahead", type=parse_size, default="256MiB", help="limits.ahead_bytes (256MiB)")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument(
        "--peers", nargs="*", choices=NAMES, help="compare with these; with all when none is named"
    )
    parser.add_argument("--pairs", type=int, default=5, help="runs beside each peer (5)")
    parser.add_argument(
        "--under", metavar="COMMAND", help="a profiler to run ours under, for example py-spy record ... --"
    )
    options = parser.parse_args()
    if options.peers is not None:
        options.to = "s3"
        options.size = max(options.size, options.photo_size)
        options.photos = options.photos or 300
    return options


if __name__ == "__main__":
    main()
