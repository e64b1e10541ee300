"""What an export costs: time, CPU, memory. Runs the real command in a process of its own.

    scripts/bench zip --size 4GiB                    from many photos to S3
    scripts/bench zip --size 4GiB --single --to file from one photo to a file
    scripts/bench zip --peers --tls                  beside what people use today, over TLS both ways
    scripts/bench zip --all                          every table of docs/performance.md; 10 minutes

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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from batchlab.authority import Authority
from batchlab.document import load_document
from batchlab.records import submit_locally
from batchlab.sizes import parse_size
from batchlab.status import State
from batchlab.stores import open_store
from benchmarks.figures import Measured, Pairs, peers_tables, runs_table
from benchmarks.loopback import Loopback, serving
from benchmarks.peers import PEERS, Peer, install

NAMES = [peer.name for peer in PEERS]
_MIB = 1 << 20
# Each tool reads the certificates to trust from a variable of its own.
_TRUST = ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
# What a ZIP may need beyond its photos: headers and directory.
_MEMBER_BYTES = 512


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
        params = {"items": urls, "sink": self.options.sink}
        document = load_document({"type": "zip-export", "params": params, "output": output, "limits": limits})
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

    def _run(self, command: Sequence[str]) -> tuple[int, float, float, float, float]:
        """Exit code, wall seconds, CPU seconds, peak RSS in MiB, the server's CPU seconds."""
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
        begin, served = time.monotonic(), self.place.cpu_seconds()
        child = subprocess.Popen(command, env=environment)
        _, status, usage = os.wait4(child.pid, 0)  # counts the processes it started, too
        wall = time.monotonic() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        cpu, served = usage.ru_utime + usage.ru_stime, self.place.cpu_seconds() - served
        return child.returncode, wall, cpu, usage.ru_maxrss / 1024, served

    def _check(self, received: int, name: str) -> None:
        photos = self.photos * self.photo_bytes
        if not photos < received <= photos + _MEMBER_BYTES * (self.photos + 1):
            sys.exit(f"{name} delivered {received:,} bytes of {photos:,} bytes of photos")


def main() -> None:
    options = _options()
    if options.peers is not None or options.all:
        install()
    cpu = f"{os.cpu_count()}-core {platform.machine()}, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {cpu}, load {os.getloadavg()[0]:.1f} before\n")
    if options.all:
        _everything(options)
    elif options.peers is not None:
        peers = [peer for peer in PEERS if peer.name in (options.peers or NAMES)]
        print(peers_tables({_protocol(options.tls): _beside(peers, options, tls=options.tls)}))
    else:
        print(runs_table([_alone(options, tls=options.tls)]))
    print(f"\nLoad after: {os.getloadavg()[0]:.1f}.")


def _everything(options: argparse.Namespace) -> None:
    print(peers_tables({_protocol(tls): _beside(PEERS, options, tls=tls) for tls in (False, True)}), "\n")
    options.photos, options.single, options.runs = None, False, max(3, options.runs)
    rows = []
    for size, to in (("200MB", "s3"), ("1GiB", "s3"), ("4GiB", "s3"), ("1GiB", "file"), ("4GiB", "file")):
        options.size, options.to = parse_size(size), to
        rows += [_alone(options, tls=tls) for tls in (False, True)]
    print(runs_table(rows))


def _beside(peers: Sequence[Peer], options: argparse.Namespace, *, tls: bool) -> dict[str, Pairs]:
    """Ours and each peer in turn, `options.pairs` times."""
    found: dict[str, list[tuple[Measured, Measured]]] = {peer.made_of: [] for peer in peers}
    count = options.photos or 300
    with _exports(options, count, options.photo_size, tls=tls) as exports:
        for _ in range(options.pairs):
            for peer in peers:
                found[peer.made_of].append((exports.ours("s3"), exports.theirs(peer)))
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return dict(found)


def _alone(options: argparse.Namespace, *, tls: bool) -> tuple[str, list[Measured]]:
    """Ours `options.runs` times; with a name for the row."""
    photo_bytes = options.size if options.single else min(options.photo_size, options.size)
    count = options.photos or max(1, options.size // photo_bytes)
    with _exports(options, count, photo_bytes, tls=tls) as exports:
        runs = [exports.ours(options.to) for _ in range(options.runs)]
    return f"{count:,} photos of {photo_bytes / _MIB:.1f} MiB, {_protocol(tls)} to {options.to}", runs


@contextmanager
def _exports(options: argparse.Namespace, count: int, photo_bytes: int, *, tls: bool) -> Iterator[Exports]:
    with serving(photo_bytes, tls=tls) as place, tempfile.TemporaryDirectory() as folder:
        yield Exports(place, Path(folder), count, photo_bytes, options)


def _protocol(tls: bool) -> str:
    return "TLS" if tls else "http"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench zip", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=parse_size, default="1GiB", help="bytes of all photos together (1GiB)")
    parser.add_argument("--photos", type=int, help="how many photos, instead of --size (with --peers 300)")
    parser.add_argument("--photo-size", type=parse_size, default="4MiB", help="bytes of one photo (4MiB)")
    parser.add_argument("--single", action="store_true", help="one photo of --size")
    parser.add_argument("--to", choices=("file", "s3"), default="s3")
    parser.add_argument("--sink", choices=("auto", "planned", "streaming"), default="auto")
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
    parser.add_argument("--all", action="store_true", help="every table of docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
