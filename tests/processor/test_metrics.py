import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from jsonschema import Draft7Validator

from batchlab.document import JobDocument
from batchlab.kinds import Kind
from batchlab.outcome import Done, Failed
from batchlab.report import Figures, Report, build_report
from batchlab_processor.metrics import embedded, emit

START = datetime(2026, 6, 6, tzinfo=UTC)

# Written after the rules of the Amazon CloudWatch User Guide, "Specification: Embedded metric format", and
# the units of MetricDatum in the Amazon CloudWatch API Reference.
SPECIFICATION = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "additionalProperties": False,
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 0},
                "CloudWatchMetrics": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "additionalProperties": False,
                        "properties": {
                            "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "array",
                                    "maxItems": 30,
                                    "items": {"type": "string", "minLength": 1, "maxLength": 250},
                                },
                            },
                            "Metrics": {
                                "type": "array",
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "additionalProperties": False,
                                    "properties": {
                                        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
                                        "Unit": {"enum": ["Count", "Bytes", "Seconds", "Megabytes/Second"]},
                                        "StorageResolution": {"enum": [1, 60]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


def report(**more: Any) -> Report:
    document = JobDocument(type="zip-export", title="Smith & Jones", output="s3://b/out")
    outcomes = [
        Done(key="1", seconds=1, size_bytes=4_000_000),
        Failed(key="2", kind=Kind.MISSING, message="https://h/x?token=CANARY"),
    ]
    figures = Figures(started_at=START, ended_at=START + timedelta(seconds=2), **more)
    return build_report(document, outcomes, [], figures)


def test_the_line_is_what_cloudwatch_takes_metrics_from() -> None:
    stream = io.StringIO()
    emit(report(peak_rss_mib=100.0), stream)
    text = stream.getvalue()
    assert text.count("\n") == 1 and len(text) < 256 * 1024
    line = json.loads(text)
    Draft7Validator(SPECIFICATION).validate(line)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    for metric in directive["Metrics"]:
        assert isinstance(line[metric["Name"]], int | float), "each metric is a number at the root"
    for dimension in directive["Dimensions"][0]:
        assert isinstance(line[dimension], str) and 0 < len(line[dimension]) <= 1024, "each dimension a text"
    assert line["_aws"]["Timestamp"] == 1_780_704_002_000


def test_it_counts_items_failures_bytes_seconds_memory_and_speed() -> None:
    line = embedded(report(peak_rss_mib=100.0))
    assert line["items"] == 2 and line["failures"] == 1 and line["size_bytes"] == 4_000_000
    assert (
        line["seconds"] == 2.0 and line["peak_rss_bytes"] == 100 << 20 and line["megabytes_per_second"] == 2.0
    )


def test_what_is_not_known_is_left_out() -> None:
    line = embedded(report())
    assert "peak_rss_bytes" not in line
    names = [metric["Name"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert "peak_rss_bytes" not in names and "items" in names


def test_each_job_is_no_metric_of_its_own() -> None:
    line = embedded(report())
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["type"]] and line["job"]


def test_stdout_stays_data(capsys: Any) -> None:
    emit(report())
    captured = capsys.readouterr()
    assert captured.out == "" and "_aws" in captured.err and "CANARY" not in captured.err
