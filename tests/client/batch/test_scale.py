from __future__ import annotations

from typing import Any

import pytest

from batchlab.batch.scale import Scale, scale_of, scale_to
from batchlab.errors import NotFound, UsageError
from tests.client.batch.conftest import Planted


def test_the_first_environment_of_a_queue_may_have_more_vcpus(planted: Planted) -> None:
    batch, asked = planted.clients["batch"], []

    def ask(params: Any, **_: Any) -> None:  # moto takes the request and changes nothing
        asked.append(params)

    event = "provide-client-params.batch.UpdateComputeEnvironment"
    batch.meta.events.register(event, ask)
    try:
        before = scale_of(batch, planted.queue)
        assert before == Scale(planted.name, 0, 0, 16)
        assert scale_to(batch, before, max_vcpus=200, desired=20) == Scale(planted.name, 0, 20, 200)
        scale_to(batch, before, max_vcpus=200, desired=None)
    finally:
        batch.meta.events.unregister(event, ask)
    assert [each["computeResources"] for each in asked] == [
        {"maxvCpus": 200, "desiredvCpus": 20},
        {"maxvCpus": 200},
    ]


@pytest.mark.parametrize(
    ("max_vcpus", "desired", "says"),
    [
        (None, 17, "--desired: 17"),
        (10, 11, "--desired: 11"),
        (None, 3, "between 4 and 16. AWS Batch takes idle machines away"),
        (0, None, "--max-vcpus: 0"),
    ],
)
def test_what_cannot_be_is_refused_with_the_bounds(
    max_vcpus: int | None, desired: int | None, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        scale_to(None, Scale("lab", 0, 4, 16), max_vcpus=max_vcpus, desired=desired)


def test_a_queue_or_an_environment_that_does_not_exist_is_not_found(planted: Planted) -> None:
    with pytest.raises(NotFound, match="no queue nowhere"):
        scale_of(planted.clients["batch"], "nowhere")
    with pytest.raises(NotFound, match="no compute environment nowhere"):
        scale_of(planted.clients["batch"], planted.queue, "nowhere")
