"""Which AWS Batch job a job of ours is, and what is found about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from batchlab.batch.account import Asking
from batchlab.batch.address import BatchAddress, is_batch_url, parse_batch_url
from batchlab.batch.causes import Finding
from batchlab.batch.collect import facts_of_job, facts_of_queues
from batchlab.batch.facts import Facts
from batchlab.batch.findings import find
from batchlab.errors import NotFound
from batchlab.ids import batch_job_of_id
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.standing import standing

_BATCH_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}([:#][0-9]+)?\Z")


@dataclass(frozen=True)
class Explanation:
    """What was looked at, and what it means."""

    facts: Facts
    findings: tuple[Finding, ...]


def is_batch_id(text: str) -> bool:
    """Whether the text is an id of AWS Batch and not one of ours."""
    return _BATCH_ID.match(text) is not None


def address_of(url: str, name: str, settings: Settings) -> BatchAddress:
    """Where jobs are in AWS Batch: `url`, else what the settings say, else the queue of the stack `name`."""
    for text in (url, settings.url if not name else ""):
        if text and (url or is_batch_url(text)):
            return parse_batch_url(text)
    if settings.job_queue and not name:
        return BatchAddress(settings.job_queue, settings.job_definition)
    stack = name or "batchlab"
    return BatchAddress(f"{stack}-job-queue", f"{stack}-job-def")


def explain_batch_job(job_id: str, address: BatchAddress) -> Explanation:
    """Why that job of AWS Batch is not running; raises NotFound."""
    facts = facts_of_job(Asking(address.region), job_id)
    return Explanation(facts, find(facts))


def explain(records: JobRecords, address: BatchAddress, *, local: bool) -> Explanation:
    """Why a job of ours is not running; `local`: its store is on this machine, and AWS has nothing to do with it."""
    status = standing(records, records.status())
    now: datetime = records.store.now()
    asking = Asking(address.region)
    if local:
        facts = Facts((), None, now, status=status)
    else:
        try:
            facts = facts_of_job(asking, batch_job_of(records, status.generation), status)
        except NotFound:
            facts = facts_of_queues(asking, [address.queue], address.definition, status)
    return Explanation(facts, find(facts))


def examine(address: BatchAddress, *, queues: list[str]) -> Explanation:
    """What would keep any job of these queues from running; raises NotFound when none of them exists."""
    facts = facts_of_queues(Asking(address.region), queues, address.definition)
    return Explanation(facts, find(facts))


def batch_job_of(records: JobRecords, generation: int) -> str:
    """The id that the dispatcher wrote down last, else the one that the job would have if it came by SubmitJob."""
    claims = [
        found.body
        for name in records.store.names(f"{records.folder}/g{generation}/dispatch-")
        if (found := records.store.read(name)) is not None and "batch_job" in found.body
    ]
    newest = max(claims, key=lambda claim: claim["at"], default=None)
    return str(newest["batch_job"]) if newest else batch_job_of_id(records.id)
