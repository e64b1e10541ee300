"""What knowing an archive costs, without a byte moved: its plan, every header, its directory; CPU seconds.

    scripts/bench layout                        100,000 members of 100 bytes
    scripts/bench layout --members 1000000

Beside it the same members, all bytes in memory, through stream-zip and Python's zipfile: they have no plan.
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import stream_zip

from batchlab_processor.jobs.zip_export.directory import read_directory
from batchlab_processor.jobs.zip_export.layout import Layout, Shape
from batchlab_processor.jobs.zip_export.names import member_names

_DATE = datetime(2026, 6, 6, 14, 30, 8, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench layout", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=100, help="bytes of a member (100)")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    count, content = options.members, bytes(range(100)) * (options.size // 100 + 1)
    content = content[: options.size]
    names = [f"ceremony/IMG_{number:07}.jpg" for number in range(count)]
    shapes = [Shape(name, len(content), _DATE + timedelta(seconds=2 * n)) for n, name in enumerate(names)]
    layout = Layout(shapes)
    crc32 = zlib.crc32(content)
    directory = layout.tail([crc32] * count)

    def read(start: int, end: int) -> bytes:
        return (
            bytes(max(0, layout.end - start))
            + directory[max(0, start - layout.end) : max(0, end - layout.end)]
        )

    steps: dict[str, Callable[[], object]] = {
        "plan: where every byte lies": lambda: Layout(shapes),
        "all local headers": lambda: [layout.header(member, crc32) for member in range(count)],
        "directory and end": lambda: layout.tail([crc32] * count),
    }
    others: dict[str, Callable[[], object]] = {
        "safe and unique names": lambda: member_names(names),
        "digest of the plan": layout.digest,
        "directory read back": lambda: read_directory(read, layout.end + len(directory)),
        "stream-zip, whole archive": lambda: _stream_zip(shapes, content),
        "zipfile, whole archive": lambda: _zipfile(shapes, content),
    }
    print(f"{count:,} members of {options.size:,} bytes, medians of {options.runs}\n")
    print("| step | CPU s |\n|---|--:|")
    total = sum(_row(name, step, options.runs) for name, step in steps.items())
    print(f"| **plan, headers and directory** | **{total:.2f}** |")
    for name, step in others.items():
        _row(name, step, options.runs)


def _row(name: str, step: Callable[[], object], runs: int) -> float:
    seconds = median(_cpu_seconds(step) for _ in range(runs))
    print(f"| {name} | {seconds:.2f} |")
    return seconds


def _cpu_seconds(step: Callable[[], object]) -> float:
    begin = time.process_time()
    step()
    return time.process_time() - begin


def _stream_zip(shapes: Sequence[Shape], content: bytes) -> None:
    method = stream_zip.NO_COMPRESSION_64(len(content), zlib.crc32(content))
    members = ((shape.name, shape.date, 0o100644, method, [content]) for shape in shapes)
    for _ in stream_zip.stream_zip(members):
        pass


def _zipfile(shapes: Sequence[Shape], content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(), "w") as writer:
        for shape in shapes:
            writer.writestr(zipfile.ZipInfo(shape.name, shape.date.timetuple()[:6]), content)


if __name__ == "__main__":
    main()
