"""What explain and doctor print: text for people, JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from batchlab.batch.causes import Weight
from batchlab.batch.explanation import Explanation
from batchlab.batch.facts import Facts
from batchlab.words import counted, duration, printable

_WORDS = {
    Weight.BLOCKS: "blocks",
    Weight.WAITS: "passes by itself",
    Weight.NOTE: "jobs run in spite of it",
}
_STARTING = "A machine is started for it; from zero that takes 3 to 10 minutes."


def explanation_text(explanation: Explanation) -> str:
    """Where it stands, each finding with its cure, and what could not be looked at."""
    facts = explanation.facts
    lines = [_where(facts)]
    for number, finding in enumerate(explanation.findings, start=1):
        lines += [
            "",
            f"{number}. {finding.cause} ({_WORDS[finding.weight]})",
            f"   {printable(finding.evidence)}",
            f"   -> {printable(finding.cure)}",
        ]
    if not explanation.findings:
        lines.append(_nothing(facts))
    if facts.unknown:
        lines += ["", "Not looked at:"]
        lines += [f"  {printable(line)}" for line in dict.fromkeys(facts.unknown)]
    return "\n".join(lines)


def explanation_as_json(explanation: Explanation) -> str:
    """Findings, and the facts that they were made from."""
    facts = asdict(explanation.facts)
    facts["status"] = explanation.facts.status and explanation.facts.status.model_dump(mode="json")
    body: dict[str, Any] = {
        "findings": [asdict(finding) for finding in explanation.findings],
        "unknown": list(dict.fromkeys(facts.pop("unknown"))),
        "facts": facts,
    }
    return json.dumps(body, indent=2, ensure_ascii=False, default=str)


def _where(facts: Facts) -> str:
    job, status = facts.job, facts.status
    if job is None and status is None:
        return "Looked at: " + ", ".join(f"queue {queue.name}" for queue in facts.queues) + "."
    said = []
    if status is not None:
        done = f", {counted(status.counts.done, status.type)} done" if status.counts.done else ""
        said.append(f"{status.type} {status.id}: {status.state}{done}.")
    if job is not None:
        waited = f" for {duration(job.waiting_seconds)}" if job.waiting_seconds else ""
        queue = f" in queue {facts.queues[0].name}" if facts.queues else ""
        said.append(f"AWS Batch job {job.id}{queue}: {job.status}{waited}.")
    return "\n".join(said)


def _nothing(facts: Facts) -> str:
    job, status = facts.job, facts.status
    if job is None and status is None:
        return "Nothing was found that keeps jobs from running."
    if status is not None and status.ended:
        return f"It has ended. What became of it: batchlab status {status.id}"
    if job is not None and job.status == "SUCCEEDED":
        return "It has ended."
    if job is not None and job.status == "RUNNABLE":
        return f"Nothing stands in its way. {_STARTING}"
    if status is not None and job is None and not facts.queues:
        return f"Jobs of a store on this machine run when somebody runs them: batchlab retry {status.id}"
    return "Nothing stands in its way."
