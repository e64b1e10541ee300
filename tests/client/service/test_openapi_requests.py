"""docs/openapi.json: as the endpoint behaves, whatever is sent to it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from batchlab.service.api_app import make_api
from batchlab.service.jobs import Jobs
from batchlab.status import State
from tests.client.service.scenes import Scene

schemathesis = pytest.importorskip("schemathesis", reason="the client alone has no schemathesis")

pytestmark = pytest.mark.slow
COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"
EXAMPLES = int(os.environ.get("BATCHLAB_TEST_EXAMPLES", "6"))  # for each route; by hand 100
TOKEN = "the-token-of-the-tests"


def _endpoint() -> Any:
    """The endpoint over a store with one job of each kind, which serves its own document, too."""
    scene = Scene(
        token=TOKEN,
        job_types=("self-test", "zip-export"),
        output_roots=("s3://exports/",),
        http_hosts=("photos.example.com",),
        public_base_url="https://jobs.example.com",
    )
    jobs = [scene.submit(title=f"job {number}") for number in range(3)]
    scene.move(jobs[1], State.RUNNING)
    scene.move(jobs[2], State.FAILED, ended_at=scene.store.now())
    api = make_api(Jobs(scene.service), scene.settings)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/openapi.json":
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": COMMITTED.read_bytes()})
        else:
            await api(scope, receive, send)

    return app, [job.id for job in jobs]


APP, JOBS = _endpoint()
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", APP)


@SCHEMA.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Half of the requests are about jobs that exist."""
    if path_parameters and "job_id" in path_parameters:
        number = sum(map(ord, str(path_parameters["job_id"])))
        if number % 2:
            return {**path_parameters, "job_id": JOBS[number % len(JOBS)]}
    return path_parameters


@SCHEMA.parametrize()
@hypothesis_settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_makes_it_fail_or_answer_what_is_not_documented(case: Any) -> None:
    checks = schemathesis.checks
    case.call_and_validate(
        headers={"Authorization": f"Bearer {TOKEN}"},
        checks=[
            checks.not_a_server_error,
            _checks().status_code_conformance,
            _checks().content_type_conformance,
            _checks().response_headers_conformance,
            _checks().response_schema_conformance,
        ],
    )


def _checks() -> Any:
    from schemathesis.specs.openapi import checks

    return checks
