"""What AWS Batch takes in one SubmitJob, checked before it is asked: its own refusals name no field of ours."""

from __future__ import annotations

import json
import re
from typing import Any

from batchlab.errors import DocumentError

# Source: AWS Batch User Guide, "Service quotas"; AWS Batch API Reference, SubmitJob
LARGEST_PAYLOAD_BYTES = 30 * 1024
MOST_DEPENDENCIES = 20
ARRAY_SIZES = range(2, 10_001)
SHORTEST_TIMEOUT_SECONDS = 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}\Z")


def check_request(request: dict[str, Any]) -> None:
    """Raises DocumentError with a line for each thing that SubmitJob would refuse in these arguments."""
    problems = []
    name = request.get("jobName", "")
    if not _NAME.match(name):
        problems.append(
            f"job name: {name[:200]!r}: at most 128 of A-Z, a-z, 0-9, - and _, not beginning with - or _."
        )
    overrides = request.get("containerOverrides", {})
    if "" in overrides.get("command", []):
        problems.append("command: AWS Batch takes no empty text in it. Leave the argument out.")
    problems += [
        f"parameters.{key}: AWS Batch takes no empty text. Leave the parameter out."
        for key, value in request.get("parameters", {}).items()
        if value == ""
    ]
    size = request.get("arrayProperties", {}).get("size")
    if size is not None and size not in ARRAY_SIZES:
        problems.append(f"shards: {size:,}: AWS Batch takes 2 to 10,000 in one array. 1 needs no array.")
    if len(request.get("dependsOn", [])) > MOST_DEPENDENCIES:
        problems.append(f"dependencies: AWS Batch takes at most {MOST_DEPENDENCIES}.")
    seconds = request.get("timeout", {}).get("attemptDurationSeconds")
    if seconds is not None and seconds < SHORTEST_TIMEOUT_SECONDS:
        problems.append(f"timeout: {seconds} s: AWS Batch takes no less than {SHORTEST_TIMEOUT_SECONDS} s.")
    payload_bytes = len(json.dumps(request).encode())
    if payload_bytes > LARGEST_PAYLOAD_BYTES:
        problems.append(
            f"the request has {payload_bytes:,} bytes, and AWS Batch takes {LARGEST_PAYLOAD_BYTES:,}. Put the "
            "document into the store and give its URL."
        )
    if problems:
        raise DocumentError(problems)
