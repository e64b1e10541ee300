from __future__ import annotations

import pytest

from batchlab.batch.address import BatchAddress, is_batch_url, parse_batch_url
from batchlab.errors import UsageError


def test_a_batch_url_names_queue_definition_store_and_region() -> None:
    url = "batch://lab-job-queue/lab-job-def:7?store=s3://bucket/store/&region=eu-west-1"
    assert is_batch_url(url)
    assert parse_batch_url(url) == BatchAddress(
        "lab-job-queue", "lab-job-def:7", "s3://bucket/store", "eu-west-1"
    )


def test_a_queue_alone_is_enough_to_look() -> None:
    assert parse_batch_url("batch://Lab_Queue") == BatchAddress("Lab_Queue")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("batch://", "no name of a queue"),
        ("batch://arn:aws:batch:us-east-1:1:job-queue/x", "an ARN is none"),
        ("batch://user:word@queue", "no name of a queue"),
        ("batch://queue/a/b", "no name of a job definition"),
        ("batch://queue/def?store=file:///tmp", "s3:// or r2://"),
        ("batch://queue/def?store=s3://", "s3:// or r2://"),
        ("batch://queue/def?stor=s3://b", "it has no stor"),
        ("batch://queue/def?region=mars", "no region"),
        ("batch://queue/def?store", "bad query field"),
        ("batch://queue/def#x", "has a #"),
        ("batch://[queue/def", "Invalid IPv6 URL"),
        ("https://queue/def", "does not begin with batch://"),
    ],
)
def test_a_wrong_batch_url_is_refused_with_the_form(url: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_batch_url(url)
    assert says in refused.value.message
    assert refused.value.message.endswith(
        "Write batch://QUEUE/DEFINITION followed by ?store=s3://BUCKET/PREFIX (and &region=us-east-1)."
    )
    assert "word" not in refused.value.message
