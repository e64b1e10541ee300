"""The report's figures as CloudWatch metrics: one line in the embedded metric format, when a job ends in Batch.

It goes to stderr like the log: AWS Batch's awslogs driver sends both streams to CloudWatch Logs, which takes
the metrics out of any line that is such a document, and stdout stays the data of --json.
Source: Amazon CloudWatch User Guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

from batchlab.report import Report

NAMESPACE = "batchlab"

# name: unit, one of the units of CloudWatch's MetricDatum
METRICS = {
    "items": "Count",
    "failures": "Count",
    "size_bytes": "Bytes",
    "seconds": "Seconds",
    "peak_rss_bytes": "Bytes",
    "megabytes_per_second": "Megabytes/Second",
}


def emit(report: Report, stream: TextIO | None = None) -> None:
    """Writes the report's line to stderr, or to `stream`."""
    stream = stream or sys.stderr
    stream.write(json.dumps(embedded(report)) + "\n")
    stream.flush()


def embedded(report: Report) -> dict[str, Any]:
    """The document. The job type is the only dimension, because each id would be a metric of its own, and paid for."""
    figures = {
        "items": report.counts.total,
        "failures": report.counts.failed,
        "size_bytes": report.size_bytes,
        "seconds": report.seconds,
        "peak_rss_bytes": None if report.peak_rss_mib is None else round(report.peak_rss_mib * (1 << 20)),
        "megabytes_per_second": report.megabytes_per_second,
    }
    known = {name: value for name, value in figures.items() if value is not None}
    return {
        "_aws": {
            "Timestamp": round(report.ended_at.timestamp() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["type"]],
                    "Metrics": [{"Name": name, "Unit": METRICS[name]} for name in known],
                }
            ],
        },
        "type": report.type,
        "job": report.id,
        "state": report.state,
        **known,
    }
