"""What this process runs on, and how much memory it took at most."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from batchlab.report import BatchEnvironment, Environment
from batchlab.settings import Settings

_DISTRIBUTIONS = ("batchlab", "batchlab-processor", "boto3", "httpx", "pydantic", "smart-open", "stream-zip")
# cgroup v2, then v1. Source: kernel documentation, "Control Group v2" (memory.max) and "Memory Resource
# Controller" (memory.limit_in_bytes).
_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_MIB = 1 << 20


def peak_rss_mib() -> float:
    """The largest resident set of this process or of one of its ended children so far, in MiB."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    # Source: getrusage(2): KiB on Linux; Apple's manual page: bytes.
    return round(max(_own_peak(), children) / (_MIB if sys.platform == "darwin" else 1024), 1)


def _own_peak() -> int:
    """In ru_maxrss's unit. That itself would count what the parent had when it forked us: exec keeps it."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def memory_mib() -> int | None:
    """What this process may use: the container's limit when there is one, else the machine's memory."""
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
    for path in _MEMORY_LIMITS:
        try:
            machine = min(machine, int(path.read_text()))
        except (OSError, ValueError):  # no such controller, or "max"
            continue
    return machine // _MIB


def cpus() -> int:
    """Processors this process may run on, 1 or more."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe(settings: Settings) -> Environment:
    """Names and versions for the report; of the settings only where in AWS Batch this is.

    Batch does not tell a job its instance type (AWS Batch User Guide, "AWS Batch job environment variables"),
    and the instance's own metadata is closed to containers: it stays unknown.
    """
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        versions=dict(_versions()),
        cpus=cpus(),
        memory_mib=memory_mib(),
        batch=_batch(settings),
    )


def _versions() -> Iterator[tuple[str, str]]:
    for name in _DISTRIBUTIONS:
        with contextlib.suppress(PackageNotFoundError):
            yield name, version(name)


def _batch(settings: Settings) -> BatchEnvironment | None:
    if not settings.in_batch:
        return None
    return BatchEnvironment(
        job_id=settings.batch_job_id,
        attempt=max(1, settings.batch_attempt),
        array_index=settings.batch_array_index,
    )
