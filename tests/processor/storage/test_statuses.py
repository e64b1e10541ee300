"""One table of statuses for every kind of server."""

import pytest

from batchlab.kinds import Kind
from batchlab_processor.storage.gs_errors import of_status
from batchlab_processor.storage.statuses import kind_of_status

TABLE = {
    0: Kind.API_ERROR, 400: Kind.VALIDATION, 401: Kind.AUTH, 403: Kind.AUTH, 404: Kind.MISSING, 405: Kind.VALIDATION,
    408: Kind.API_ERROR, 409: Kind.API_ERROR, 410: Kind.MISSING, 412: Kind.CHANGED, 425: Kind.API_ERROR,
    429: Kind.RATE_LIMIT, 500: Kind.API_ERROR, 502: Kind.API_ERROR, 503: Kind.API_ERROR, 599: Kind.API_ERROR,
}  # fmt: skip


@pytest.mark.parametrize("status", TABLE)
def test_a_status_means_the_same_on_every_server(status: int) -> None:
    assert kind_of_status(status) is TABLE[status]
    assert of_status(status, "gs://bucket/a").kind is TABLE[status]


def test_cloud_storage_may_ask_to_wait_an_hour_at_most() -> None:
    assert of_status(429, "gs://bucket/a", retry_after="7").retry_after_seconds == 7
    assert of_status(503, "gs://bucket/a", retry_after="999999").retry_after_seconds == 3600
    assert of_status(503, "gs://bucket/a", retry_after="²").retry_after_seconds is None
