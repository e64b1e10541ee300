"""self-test: whether this machine, its store and its way out are fit to run jobs; what a bare submission runs.

Each check is an item. One that fails says what to do next; the job is then partial (exit 3) or failed (exit 1).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from pydantic import BaseModel

from batchlab.errors import BatchlabError
from batchlab.guard import Guard
from batchlab.jobs.self_test import SelfTestParams
from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Done, Failed, Outcome
from batchlab.report import Artifact
from batchlab.settings import Settings
from batchlab.store import AlreadyExists, VersionConflict
from batchlab.words import size
from batchlab_processor import registry
from batchlab_processor.environment import memory_mib
from batchlab_processor.job import Context, Entry, JobType, Plan

# Answers every region and needs no account; any answer at all proves the way out.
DEFAULT_URL = "https://aws.amazon.com/robots.txt"
ANSWER_BYTES = 4096  # read of that answer
CLOCK_SECONDS = 30.0  # leases last 60 s, and S3 refuses signatures that are 15 minutes off
DISK_BYTES = 512 * 1024 * 1024  # for scratch files and logs; large photos need more and say so themselves
PROGRAM_BYTES = 160 * 1024 * 1024  # measured with boto3 and the S3 writer's parts, above limits.ahead_bytes


class Check(BaseModel):
    """One thing to look at."""

    name: str


class Finding(BaseModel):
    """What was found, when it is as it should be."""

    detail: str


class SelfTest(JobType[Check, Finding]):
    """The checks in the order of CHECKS; none of them depends on another."""

    name: ClassVar[str] = "self-test"
    summary: ClassVar[str] = "Checks the store, the way out, clock, credentials, disk, memory and job types."
    params: ClassVar[type[BaseModel]] = SelfTestParams
    item: ClassVar[type[BaseModel]] = Check
    result: ClassVar[type[BaseModel]] = Finding
    ordered: ClassVar[bool] = True

    def plan(self, ctx: Context) -> Plan[Check]:
        names = [name for name in CHECKS if name != "https" or ctx.params.network]
        return Plan([Entry(name, Check(name=name)) for name in names])

    def work(self, item: Check, ctx: Context) -> Finding:
        """Raises ItemError that names the cure."""
        try:
            return Finding(detail=CHECKS[item.name](ctx))
        except BatchlabError as error:
            raise ItemError(Kind.VALIDATION, error.message) from error

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> Sequence[Artifact]:
        """The findings stand in the log, as a table, and in the report's facts."""
        rows = list(outcomes)
        done = {row.key: row.result.detail for row in rows if isinstance(row, Done)}
        ctx.report_facts["checks"] = done  # those that failed are the report's failures
        ctx.log.info("Self-test of %s\n%s", ctx.store.url, table(rows))
        return []


def table(outcomes: Sequence[Outcome]) -> str:
    """A line for each check: its name, ok or the kind of failure, and what was found."""
    rows = []
    for outcome in outcomes:
        if isinstance(outcome, Done):
            rows.append((outcome.key, "ok", outcome.result.detail))
        elif isinstance(outcome, Failed):
            rows.append((outcome.key, "FAILED", outcome.message))
        else:
            rows.append((outcome.key, "-", "not checked"))
    width = max((len(name) for name, _, _ in rows), default=0)
    return "\n".join(f"  {name:<{width}}  {state:<6}  {detail}" for name, state, detail in rows)


def _document(ctx: Context) -> str:
    return f"jobs/{ctx.document.id}/g{ctx.generation}/self-test-{ctx.key}.json"


def _store_write(ctx: Context) -> str:
    name = _document(ctx)
    try:
        ctx.store.put(name, {"check": "write"})
    finally:
        ctx.store.delete(name)
    return f"documents can be written to {ctx.store.url}"


def _store_read(ctx: Context) -> str:
    name, body = _document(ctx), {"check": "read", "of": ctx.document.id}
    try:
        ctx.store.put(name, body)
        read = ctx.store.read(name)
        if read is None or read.body != body:
            raise _broken("a document that was just written was not read back as it was")
        if name not in set(ctx.store.names(name)):
            raise _broken("a document that was just written is not listed")
    finally:
        ctx.store.delete(name)
    return "what is written is read and listed at once"


def _store_create_only(ctx: Context) -> str:
    name = _document(ctx)
    ctx.store.delete(name)
    try:
        ctx.store.create(name, {"writer": 1})
        try:
            ctx.store.create(name, {"writer": 2})
        except AlreadyExists:
            return "of two writers one wins"
        raise _broken("a second writer created a document that was there (If-None-Match has no effect)")
    finally:
        ctx.store.delete(name)


def _store_compare_and_set(ctx: Context) -> str:
    name = _document(ctx)
    ctx.store.delete(name)
    try:
        first = ctx.store.create(name, {"count": 1})
        ctx.store.replace(name, {"count": 2}, first)
        try:
            ctx.store.replace(name, {"count": 3}, first)
        except VersionConflict:
            return "a change on an old version is refused"
        raise _broken("a change on an old version went through (If-Match has no effect)")
    finally:
        ctx.store.delete(name)


def _store_delete(ctx: Context) -> str:
    name = _document(ctx)
    ctx.store.put(name, {"check": "delete"})
    ctx.store.delete(name)
    if ctx.store.read(name) is not None:
        raise _broken("a deleted document is still there")
    return "what is deleted is gone"


def _broken(what: str) -> ItemError:
    return ItemError(
        Kind.VALIDATION,
        f"The store breaks its promise: {what}. Use S3, R2 or a local disk as BATCHLAB_STORE.",
    )


def _https(ctx: Context) -> str:
    if ctx.params.url is not None:
        probed = ctx.storage.probe(ctx.params.url)  # a stranger's address: the job's authority applies
        return f"{probed.url.split('?')[0]} answers"
    # Our own address: no list of hosts needs to name it, but it is checked to be a public one all the same.
    with Guard(lambda url: url) as guard:
        try:
            with guard.request("GET", DEFAULT_URL, follow=False, limit_bytes=ANSWER_BYTES) as answer:
                return f"{DEFAULT_URL} answers with {answer.status}"
        except ItemError as error:
            cure = "Check route, proxy and egress on port 443; without a way out on purpose, set params.network: false."
            raise ItemError(error.kind, f"{error.message} {cure}") from error


def _clock(ctx: Context) -> str:
    seconds = (ctx.store.now() - ctx.now()).total_seconds()
    if abs(seconds) > CLOCK_SECONDS:
        where = "behind" if seconds > 0 else "ahead of"
        raise ItemError(
            Kind.VALIDATION,
            f"This machine's clock is {abs(seconds):.0f} s {where} the store's: leases and signatures fail. "
            "Set it by NTP (chronyd, systemd-timesyncd).",
        )
    return f"within {max(1.0, abs(seconds)):.0f} s of the store's"


def _credentials(ctx: Context) -> str:
    """Names only; a secret is never read further than to see that it is there."""
    settings = Settings.from_environment(os.environ)
    scheme = ctx.store.url.partition(":")[0]
    found = []
    if settings.r2_access_key and settings.r2_secret_key:
        found.append("R2_ACCESS_KEY and R2_SECRET_KEY")
    if settings.google_credentials:
        found.append("Google service account")
    roots = (*settings.source_roots, *settings.output_roots, ctx.store.url)
    if any(root.startswith("s3:") for root in roots):
        method = _aws_method()
        if method:
            found.append(f"AWS ({method})")
        elif scheme == "s3":
            raise ItemError(
                Kind.AUTH, "No AWS credentials were found. Give the job a role, or set AWS_PROFILE."
            )
    return ", ".join(found) or f"none, and {scheme}:// needs none"


def _aws_method() -> str | None:
    """Where AWS credentials come from, as botocore calls it: env, container-role, iam-role, sso, ..."""
    import boto3

    found = boto3.session.Session().get_credentials()
    return found.method if found is not None else None


def _disk(ctx: Context) -> str:
    usage = shutil.disk_usage(ctx.scratch())
    if usage.free < DISK_BYTES:
        raise ItemError(
            Kind.VALIDATION,
            f"{size(usage.free)} free on the disk of {ctx.scratch()}, at least {size(DISK_BYTES)} are wanted. "
            "Free some, or set TMPDIR to a larger disk.",
        )
    return f"{size(usage.free)} free of {size(usage.total)}"


def _memory(ctx: Context) -> str:
    limit_mib = memory_mib()
    if limit_mib is None:
        return "this system does not tell how much there is"
    wanted = ctx.document.limits.ahead_bytes + PROGRAM_BYTES
    if limit_mib * 1024 * 1024 < wanted:
        raise ItemError(
            Kind.VALIDATION,
            f"This process may use {size(limit_mib * 1024 * 1024)}, the job may need {size(wanted)}. "
            "Give it more memory (resources.memory_mib), or lower limits.ahead_bytes.",
        )
    return f"{size(limit_mib * 1024 * 1024)}, of which a job like this needs {size(wanted)}"


def _job_types(ctx: Context) -> str:
    for name in registry.names():
        try:
            registry.job_type(name)
        except ImportError as error:
            raise ItemError(
                Kind.VALIDATION,
                f"The job type {name} is installed, but cannot be loaded: {error}. Install it again.",
            ) from error
    return ", ".join(registry.names()) or "none"


CHECKS: dict[str, Callable[[Context], str]] = {
    "store-write": _store_write,
    "store-read": _store_read,
    "store-create-only": _store_create_only,
    "store-compare-and-set": _store_compare_and_set,
    "store-delete": _store_delete,
    "https": _https,
    "clock": _clock,
    "credentials": _credentials,
    "disk": _disk,
    "memory": _memory,
    "job-types": _job_types,
}
