"""A plan as it is saved: JSON, one document per generation, written before the first work."""

from __future__ import annotations

from typing import Any

from batchlab.errors import BatchlabError
from batchlab.outcome import Failed
from batchlab_processor.job import Entry, JobType, Plan


class BadPlan(BatchlabError):
    """The job type's plan cannot be used; this is a defect of the job type."""


def check(plan: Plan[Any]) -> None:
    """Raises BadPlan when two entries have one key, or a key is empty."""
    seen: set[str] = set()
    for entry in plan.entries:
        if not entry.key or entry.key in seen:
            raise BadPlan(
                f"The plan names the key {entry.key!r} twice or leaves it empty. Keys must be unique."
            )
        seen.add(entry.key)


def to_json(plan: Plan[Any]) -> dict[str, Any]:
    return {"facts": plan.facts, "entries": [_entry_to_json(entry) for entry in plan.entries]}


def to_document(plan: Plan[Any], job: JobType[Any, Any], params: Any) -> dict[str, Any]:
    """The same with what somebody must know who ends the job when no run does (batchlab.service.ending)."""
    return {**to_json(plan), "durable": job.durable(params)}


def from_json(body: dict[str, Any], job: JobType[Any, Any]) -> Plan[Any]:
    """The plan as it was; raises pydantic.ValidationError when the job type has changed its Item since."""
    return Plan([_entry_from_json(entry, job) for entry in body["entries"]], body["facts"])


def _entry_to_json(entry: Entry[Any] | Failed) -> dict[str, Any]:
    if isinstance(entry, Failed):
        return {"failed": entry.model_dump(mode="json")}
    line = {"key": entry.key, "item": entry.item.model_dump(mode="json", exclude_defaults=True)}
    if entry.stage:
        line["stage"] = entry.stage
    if entry.size_bytes is not None:
        line["size_bytes"] = entry.size_bytes
    return line


def _entry_from_json(line: dict[str, Any], job: JobType[Any, Any]) -> Entry[Any] | Failed:
    if "failed" in line:
        return Failed.model_validate(line["failed"])
    item = job.item.model_validate(line["item"])
    return Entry(line["key"], item, line.get("stage", 0), line.get("size_bytes"))
