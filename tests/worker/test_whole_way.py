"""From a Worker to AWS Batch and back to the Worker: submit once, follow, be told, and hand the ZIP to the customer."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.sources import photo
from tests.worker.conftest import KEYS, System
from tests.worker.workerd import BIN, PACKAGE

pytestmark = pytest.mark.worker
PARALLEL = 50
PHOTOS = [
    "s3://photos/17/1.jpg",
    {"url": "s3://photos/17/2.jpg", "name": "dance/2.jpg"},
    "s3://photos/17/3.jpg",
]


@pytest.fixture(scope="module")
def photos(system: System) -> dict[str, bytes]:
    """Three photos of which the last is not there."""
    made = {"1.jpg": photo("1.jpg"), "dance/2.jpg": photo("2.jpg")}
    for number, body in enumerate(made.values(), 1):
        system.client("s3").put_object(Bucket="photos", Key=f"17/{number}.jpg", Body=body)
    return made


@pytest.fixture(scope="module")
def job(system: System, photos: dict[str, bytes]) -> dict[str, Any]:
    """The answer to fifty submissions of the same photos at once, and the job they made."""

    def export(_: int) -> httpx.Response:
        return system.worker.ask("POST", "/events/17/export", body={"photos": PHOTOS})

    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(export, range(PARALLEL)))
    assert [answer.status_code for answer in answers] == [202] * PARALLEL, answers[0].text
    [made] = {tuple(sorted(answer.json().items())) for answer in answers}
    return dict(made)


def test_fifty_submissions_at_once_make_one_job(system: System, job: dict[str, Any]) -> None:
    assert [name for name in system.documents("jobs/") if name.endswith("/job.json")] == [
        f"jobs/{job['id']}/job.json"
    ]
    assert len(system.documents("keys/")) == 1
    system.dispatch()
    [batch_job] = system.batch_jobs()
    assert batch_job["parameters"]["job"] == f"s3://lab/store/jobs/{job['id']}/job.json"
    assert not system.documents("pending/")
    assert not system.endpoint.refusals


Ask = Callable[..., Any]
ASK = """
import { BatchLab } from './dist/index.js';
const [env, { id, document }] = JSON.parse(process.argv[1]);
const lab = new BatchLab(env);
try {
  console.log(JSON.stringify(await (async () => { %s })()));
} catch (error) {
  console.error(`${error.name}: ${error.message}`);
  process.exit(1);
}
"""


@pytest.fixture(scope="module")
def ask(system: System) -> Ask:
    """What the package, as it is published, answers in Node; a failed assertion with the error that it throws."""
    env = {
        "BATCHLAB_URL": system.endpoint.url,
        "BATCH_AWS_ACCESS_KEY": "AKIDLAB",
        "BATCH_AWS_SECRET_KEY": KEYS["AKIDLAB"],
    }

    def asked(code: str, **given: Any) -> Any:
        command = [BIN / "node", "--input-type=module", "-e", ASK % code, json.dumps([env, given])]
        ran = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return asked


@pytest.fixture(scope="module")
def ended(system: System, job: dict[str, Any]) -> dict[str, Any]:
    """The job after its container, which moto does not run, has run, and AWS Batch has told of its end."""
    system.dispatch()
    [batch_job] = system.batch_jobs()
    environment = {**system.environment, "AWS_BATCH_JOB_ID": batch_job["jobId"], "AWS_BATCH_JOB_ATTEMPT": "1"}
    command = [str(BIN / "batchlab-processor"), "run", "--job"]
    ran = subprocess.run(
        [*command, batch_job["parameters"]["job"]],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    system.tell(batch_job)
    system.r2_to_worker()
    return job


def test_the_worker_follows_the_job_to_its_end(system: System, ended: dict[str, Any]) -> None:
    answer = system.worker.ask("GET", f"/exports/{ended['id']}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "partial"
    assert answer.json()["counts"]["done"] == 2 and answer.json()["counts"]["failed"] == 1


def test_the_webhook_of_the_end_is_verified_in_the_worker(system: System, ended: dict[str, Any]) -> None:
    told = system.worker.ask("GET", f"/exports/{ended['id']}").json()["told"]
    assert told["type"] == "job.partial"
    assert told["data"]["id"] == ended["id"] and told["data"]["tags"] == {"event": "17"}
    assert told["data"]["page"] == ended["page"]


def test_a_webhook_that_somebody_else_sends_is_refused(system: System, ended: dict[str, Any]) -> None:
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1764158400", "webhook-signature": "v1,AAAA"}
    answer = system.worker.ask("POST", "/webhook", body={"type": "job.succeeded"}, **headers)
    assert answer.status_code == 401


def test_the_page_and_the_zip_come_from_the_workers_own_bucket(
    system: System, ended: dict[str, Any], photos: dict[str, bytes]
) -> None:
    assert ended["page"].startswith(f"{system.worker.url}/s/")
    with httpx.Client(trust_env=False) as client:
        page = client.get(ended["page"])
        assert page.status_code == 200
        assert "3.jpg" in page.text and "frame-ancestors 'none'" in page.headers["content-security-policy"]
        status = client.get(f"{ended['page']}/status.json")
        assert status.json()["state"] == "partial"
        unchanged = client.get(
            f"{ended['page']}/status.json", headers={"if-none-match": status.headers["etag"]}
        )
        assert unchanged.status_code == 304
        download = ended["page"].replace("/s/", "/d/")
        whole = client.get(download)
        assert whole.status_code == 200
        assert 'filename="17.zip"' in whole.headers["content-disposition"]
        part = client.get(download, headers={"range": "bytes=100-199", "if-range": whole.headers["etag"]})
        assert (part.status_code, part.content) == (206, whole.content[100:200])
        head = client.head(download)
        assert (head.headers["content-length"], head.content) == (str(len(whole.content)), b"")
    with zipfile.ZipFile(io.BytesIO(whole.content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in photos} == photos
        assert "_missing.csv" in archive.namelist()


def test_the_package_asks_everything_of_the_real_endpoint(
    system: System, ended: dict[str, Any], ask: Ask
) -> None:
    job = ended["id"]
    first, again = ask("const a = await lab.poll(id); return [a, await lab.poll(id, a)];", id=job)
    assert first["ended"] and first["again"] is None and first["etag"] == again["etag"]
    [failed] = ask("return (await lab.items(id, {outcome: 'failed', limit: 10})).items;", id=job)
    assert (failed["kind"], failed["outcome"]) == ("missing", "failed")
    assert ask("return (await lab.cancel(id)).state;", id=job) == "partial"
    estimate = ask("return lab.estimate(document);", document={"type": "self-test"})
    assert set(estimate) >= {"items", "size_bytes", "seconds", "dollars", "unknown"}
    with pytest.raises(AssertionError, match="NotFound: There is no job"):
        ask("return lab.get(id);", id="0" * 26)
    with pytest.raises(AssertionError, match=r"DocumentError: type: .*Did you mean zip-export"):
        ask("return lab.submit(document);", document={"type": "zip-exprot"})
    document = {"type": "self-test", "idempotency_key": "one"}
    made = ask("return (await lab.submit(document)).id;", document=document)
    assert ask("return (await lab.submit(document)).id;", document=document) == made
    with pytest.raises(AssertionError, match="KeyTaken: "):
        ask("return lab.submit(document);", document={**document, "title": "another"})
    assert ask("return (await lab.retry(id)).generation;", id=job) == 2


def test_a_list_too_long_for_a_document_goes_by_r2(system: System) -> None:
    # long names rather than many photos, for each photo is looked at while planning
    many = [{"url": f"s3://photos/{'x' * 950}/{number}.jpg", "name": "y" * 950} for number in range(2_100)]
    answer = system.worker.ask("POST", "/events/18/export", body={"photos": many})
    assert answer.status_code == 202, answer.text
    [key] = [key for key in system.worker.names() if key.startswith("lists/")]
    event = system.endpoint.events[-1]
    assert key in event["body"] and len(event["body"]) < 1000
    system.worker_to_r2()  # where the container reads the list
    document = next(
        name for name in system.documents("jobs/") if name == f"jobs/{answer.json()['id']}/job.json"
    )
    run = [str(BIN / "batchlab-processor"), "run", "--dry-run", "--job"]
    planned = subprocess.run(
        [*run, f"s3://lab/store/{document}"],
        env={"PATH": "/usr/bin:/bin", **system.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2,100" in planned.stdout + planned.stderr


def test_a_worker_with_another_key_is_told_what_to_do(system: System) -> None:
    system.endpoint.keys["AKIDLAB"] = "rotated"
    try:
        answer = system.worker.ask("POST", "/events/17/export", body={"photos": PHOTOS})
    finally:
        system.endpoint.keys.update(KEYS)
    assert answer.status_code == 502
    assert "BATCH_AWS_SECRET_KEY" in answer.json()["error"]
    assert system.endpoint.refusals.pop() == "another signature"
