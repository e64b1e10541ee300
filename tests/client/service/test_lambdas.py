"""batchlab.service.lambdas: messages on the intake queue become jobs; what cannot ends on the dead-letter queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from batchlab import aws
from batchlab.document import load_document
from batchlab.errors import DocumentError, ServiceError
from batchlab.ids import id_from_bits, new_id
from batchlab.records import JobRecords, submit_locally
from batchlab.service import lambdas
from batchlab.service.jobs import Jobs
from batchlab.service.secrets import VARIABLE
from batchlab.service.submission import submit
from batchlab.store import Store
from batchlab.timer import watch
from batchlab.webhooks import unwrap
from tests.client.notify.ended_jobs import SECRET
from tests.client.notify.receivers import receiving
from tests.client.service.conftest import DEFINITION, Simulated
from tests.servers import S3Server

SELF_TEST = '{"type": "self-test"}'


@dataclass
class Intake:
    """The intake queue, and what AWS Lambda does with it. Visibility is told, not waited for."""

    account: Simulated
    bucket: str
    url: str
    dead_url: str
    waits: list[int]  # seconds after which messages were to be seen again

    @property
    def store(self) -> Store:
        return lambdas._store()

    def send(self, body: str) -> None:
        self.account.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def event(self) -> dict[str, Any]:
        """The next messages, as Lambda hands them to a function."""
        found = self.account.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get(
            "Messages", []
        )
        return {
            "Records": [
                {"messageId": each["MessageId"], "receiptHandle": each["ReceiptHandle"], "body": each["Body"]}
                for each in found
            ]
        }

    def poll(self, *, milliseconds_left: int = 60_000) -> None:
        """Feeds the dispatcher until the queue is empty; what it does not return is deleted."""
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: milliseconds_left)
        while records := (event := self.event())["Records"]:
            answer = lambdas.dispatcher(event, context)
            failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
            for record in records:
                if record["messageId"] not in failed:
                    self.account.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=record["receiptHandle"])

    def dead(self) -> list[str]:
        """The bodies on the dead-letter queue."""
        found = self.account.sqs.receive_message(QueueUrl=self.dead_url, MaxNumberOfMessages=10)
        return [each["Body"] for each in found.get("Messages", [])]


@pytest.fixture
def intake(
    account: Simulated, moto_s3: S3Server, moto_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Intake]:
    def queue(name: str, **attributes: str) -> str:
        made = account.sqs.create_queue(QueueName=f"{moto_bucket}-{name}", Attributes=attributes)
        return str(made["QueueUrl"])

    dead = queue("jobs-dead")
    arn = account.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    url = queue("jobs", RedrivePolicy=json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3}))
    for name, value in {
        "BATCHLAB_STORE": f"s3://{moto_bucket}/store",
        "BATCHLAB_JOB_QUEUE": account.queue,
        "BATCHLAB_JOB_DEFINITION": DEFINITION,
        "BATCHLAB_INTAKE_QUEUE_URL": url,
        "BATCHLAB_JOB_TYPES": "self-test zip-export",
        "BATCHLAB_SOURCE_ROOTS": f"s3://{moto_bucket}/documents",
        "BATCHLAB_OUTPUT_ROOTS": f"s3://{moto_bucket}/exports",
    }.items():
        monkeypatch.setenv(name, value)
    for name, value in moto_s3.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(aws, "service_client", lambda name, *_, **__: getattr(account, name))
    made = Intake(account, moto_bucket, url, dead, [])
    show_again = lambdas._show_again

    def at_once(record: Any, seconds: int) -> None:
        made.waits.append(seconds)
        show_again(record, 0)

    monkeypatch.setattr(lambdas, "_show_again", at_once)
    made_once = (
        lambdas._settings,
        lambdas._store,
        lambdas._sqs,
        lambdas._runner,
        lambdas._service,
        lambdas._endpoint_service,
    )
    for each in made_once:
        each.cache_clear()
    yield made
    for each in made_once:
        each.cache_clear()
    for made_queue in (url, dead):
        account.sqs.delete_queue(QueueUrl=made_queue)


def test_a_job_of_the_endpoint_is_submitted(intake: Intake) -> None:
    document = load_document(SELF_TEST)
    submit_locally(intake.store, document)
    intake.send(json.dumps({"job": document.id}))
    intake.poll()
    [job] = intake.account.jobs()
    assert job["parameters"]["job"] == f"s3://{intake.bucket}/store/jobs/{document.id}/job.json"
    assert intake.dead() == []


def test_a_document_put_straight_on_the_queue_becomes_a_job(intake: Intake) -> None:
    intake.send("type: self-test\ntitle: By hand\n")
    intake.poll()
    [job] = intake.account.jobs()
    job_id = job["parameters"]["job"].split("/")[-2]
    records = JobRecords(intake.store, job_id)
    assert (records.document().title, records.status().state) == ("By hand", "queued")


@pytest.mark.parametrize(
    "body", ["s3://BUCKET/documents/mine.json", '{"job": "s3://BUCKET/documents/mine.json"}']
)
def test_the_url_of_a_document_becomes_a_job(intake: Intake, body: str) -> None:
    intake.account.s3.put_object(Bucket=intake.bucket, Key="documents/mine.json", Body=SELF_TEST.encode())
    intake.send(body.replace("BUCKET", intake.bucket))
    intake.poll()
    assert len(intake.account.jobs()) == 1


def test_the_url_of_a_job_in_the_store_is_that_job(intake: Intake) -> None:
    document = load_document(SELF_TEST)
    submit_locally(intake.store, document)
    intake.send(f"s3://{intake.bucket}/store/jobs/{document.id}/job.json")
    intake.poll()
    assert len(intake.account.jobs()) == 1


def test_a_message_delivered_three_times_is_one_job(intake: Intake) -> None:
    intake.send(SELF_TEST)
    event = intake.event()
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
    for _ in range(3):
        assert lambdas.dispatcher(event, context) == {"batchItemFailures": []}
    [job] = intake.account.jobs()
    bits = int(event["Records"][0]["messageId"].replace("-", ""), 16)
    assert id_from_bits(bits) in job["jobName"]


def test_two_messages_with_one_idempotency_key_are_one_job(intake: Intake) -> None:
    for _ in range(2):
        intake.send('{"type": "self-test", "idempotency_key": "order-7"}')
    intake.poll()
    assert len(intake.account.jobs()) == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{", "message:1:2"),
        ("[1, 2]", "expected a job document"),
        ('{"type": "zip-exprot"}', "Did you mean zip-export?"),
        ('{"type": "zip-export", "output": "s3://elsewhere/x", "params": {}}', "params"),
        ('{"job": "01m830r00tskc1v4whbqs6neqs"}', "There is no job"),
        ("r2://BUCKET/job.json", "BATCHLAB_SOURCE_ROOTS"),
        ("s3://elsewhere/job.json", "Add s3://elsewhere/ to BATCHLAB_SOURCE_ROOTS"),
        ("s3://BUCKET/documents/absent.json", "there is nothing at"),
    ],
)
def test_what_no_job_can_be_made_of_goes_to_the_dead_letter_queue_at_once_and_says_why(
    intake: Intake, caplog: pytest.LogCaptureFixture, body: str, why: str
) -> None:
    intake.send(body.replace("BUCKET", intake.bucket))
    intake.poll()
    assert intake.dead() == [body.replace("BUCKET", intake.bucket)]
    assert intake.waits == [0, 0, 0]
    assert why in caplog.text
    assert intake.account.jobs() == []


def test_a_type_or_an_output_that_is_not_listed_is_refused(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    photos = [{"url": "https://photos.example/1.jpg"}]
    intake.send(json.dumps({"type": "zip-export", "output": intake.store.url, "params": {"items": photos}}))
    intake.poll()
    assert len(intake.dead()) == 1
    assert "job documents live there" in caplog.text


def keep(account: Simulated, monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """The secrets are in AWS Secrets Manager, and the functions are told their names, as by the stack."""
    named = {variable: f"{account.queue}/{variable}" for variable in values}
    for variable, value in values.items():
        account.secretsmanager.create_secret(Name=named[variable], SecretString=value)
    monkeypatch.setenv(VARIABLE, json.dumps(named))


def test_a_webhook_is_signed_with_the_secret_of_its_own_that_it_names(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = f"whsec_{'c2hvcA' * 6}"
    keep(intake.account, monkeypatch, BATCHLAB_WEBHOOK_SECRET=SECRET, BATCHLAB_WEBHOOK_SECRET_SHOP=shop)
    monkeypatch.setenv("BATCHLAB_ALLOW_LOCAL", "1")
    with receiving() as receiver:
        monkeypatch.setenv("BATCHLAB_WEBHOOK_HOSTS", f"127.0.0.1:{receiver.port}")
        target = {"webhook": receiver.url, "secret_ref": "shop"}
        intake.send(json.dumps({"id": new_id(), "type": "self-test", "notify": [target]}))
        intake.poll()
        assert intake.dead() == []
        [job] = intake.account.jobs()
        says_failed(intake.account)
        records = JobRecords(intake.store, job["parameters"]["job"].split("/")[-2])
        assert lambdas.notifier(events(change(records)), None) == {"batchItemFailures": []}
        [came] = receiver.came
    assert unwrap(came.body, came.headers, shop).data.id == records.id


def test_a_webhook_whose_secret_is_not_there_is_refused_with_the_setting_to_add(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep(intake.account, monkeypatch, BATCHLAB_WEBHOOK_SECRET=SECRET)
    monkeypatch.setenv("BATCHLAB_WEBHOOK_HOSTS", "shop.example")
    target = {"webhook": "https://shop.example/hooks", "secret_ref": "shop"}
    document = {"type": "self-test", "notify": [target]}
    with pytest.raises(DocumentError, match=r"notify.0.: .*Set BATCHLAB_WEBHOOK_SECRET_SHOP"):
        Jobs(lambdas._endpoint_service()).submit(load_document(document))
    intake.send(json.dumps(document))
    intake.poll()
    assert len(intake.dead()) == 1
    assert "Set BATCHLAB_WEBHOOK_SECRET_SHOP" in caplog.text


def test_a_good_message_beside_a_bad_one_is_not_held_up(intake: Intake) -> None:
    intake.send("{")
    intake.send(SELF_TEST)
    event = intake.event()
    answer = lambdas.dispatcher(event, SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000))
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == [
        event["Records"][0]["messageId"]
    ]
    assert len(intake.account.jobs()) == 1


def test_what_may_pass_comes_again_after_the_claim_of_a_minute(intake: Intake) -> None:
    document = load_document(SELF_TEST)
    store = intake.store
    submit_locally(store, document)
    store.create(
        f"jobs/{document.id}/g1/dispatch-all.json", {"at": store.now().isoformat(), "token": "other"}
    )
    intake.send(json.dumps({"job": document.id}))
    event = intake.event()
    answer = lambdas.dispatcher(event, SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000))
    assert len(answer["batchItemFailures"]) == 1
    assert intake.waits == [lambdas.LATER_SECONDS]


def test_what_is_not_begun_in_time_goes_back_to_the_queue(intake: Intake) -> None:
    intake.send(SELF_TEST)
    event = intake.event()
    answer = lambdas.dispatcher(event, SimpleNamespace(get_remaining_time_in_millis=lambda: 14_000))
    assert len(answer["batchItemFailures"]) == 1
    assert intake.account.jobs() == []


# -- events and the clock ----------------------------------------------------------------------------------------


@pytest.fixture
def ended(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> JobRecords:
    """A job whose container died: AWS Batch gave it up, and its status says queued."""
    intake.send(SELF_TEST)
    intake.poll()
    [job] = intake.account.jobs()
    says_failed(intake.account)
    return JobRecords(intake.store, job["parameters"]["job"].split("/")[-2])


def says_failed(account: Simulated) -> None:
    def answer(parsed: Any, **_: Any) -> None:
        for job in parsed["jobs"]:
            job |= {"status": "FAILED", "statusReason": "Essential container in task exited"}

    account.hook("after-call.batch.DescribeJobs", answer)


def events(*bodies: Any) -> dict[str, Any]:
    records = [
        {"messageId": f"m-{number}", "body": body if isinstance(body, str) else json.dumps(body)}
        for number, body in enumerate(bodies)
    ]
    return {"Records": records}


def change(records: JobRecords, status: str = "FAILED", name: str = "") -> dict[str, Any]:
    detail = {"jobName": name or f"self-test-{records.id}-g1-all", "jobId": new_id(), "status": status}
    return {"detail-type": "Batch Job State Change", "detail": detail}


def test_an_event_of_a_container_that_died_ends_its_job(ended: JobRecords) -> None:
    assert lambdas.notifier(events(change(ended)), None) == {"batchItemFailures": []}
    assert ended.status().state == "failed"


def test_events_that_come_twice_and_out_of_order_lead_to_one_end(ended: JobRecords) -> None:
    told = events(change(ended), change(ended, "STARTING"), change(ended, "SUCCEEDED"), change(ended))
    for _ in range(3):
        lambdas.notifier(told, None)
    assert ended.status().state == "failed"
    report = ended.report(1)
    lambdas.notifier(told, None)
    assert ended.report(1) == report


def test_the_clock_ends_a_job_whose_events_were_lost(ended: JobRecords, intake: Intake) -> None:
    watch(intake.store, ended.id, intake.store.now() - timedelta(seconds=1))
    assert lambdas.sweeper({}, None) == {"jobs": 1}
    assert ended.status().state == "failed"


def test_the_clock_hands_over_what_the_endpoint_was_killed_before_sending(intake: Intake) -> None:
    document = load_document(SELF_TEST)
    intake.store.put(
        f"pending/{document.id}", {"at": (intake.store.now() - timedelta(seconds=61)).isoformat()}
    )
    JobRecords(intake.store, document.id).create_document(document)
    assert lambdas.sweeper({}, None) == {"jobs": 1}
    assert len(intake.account.jobs()) == 1
    assert list(intake.store.names("pending/")) == []
    assert lambdas.sweeper({}, None) == {"jobs": 0}
    assert len(intake.account.jobs()) == 1


def test_an_event_whose_job_cannot_be_looked_at_comes_again_and_the_others_do_not(
    ended: JobRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = lambdas.look

    def broken(service: Any, job_id: str) -> Any:
        if job_id != ended.id:
            raise ServiceError("The store does not answer.")
        return look(service, job_id)

    monkeypatch.setattr(lambdas, "look", broken)
    other = JobRecords(ended.store, new_id())
    answer = lambdas.notifier(events(change(other), change(ended), change(other)), None)
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == ["m-0", "m-2"]
    assert ended.status().state == "failed"


def test_events_of_strangers_and_what_is_none_are_passed_over(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = {"detail-type": "Batch Job Queue Blocked", "detail": {"jobQueue": "q"}}
    nobody = change(JobRecords(intake.store, new_id()), name="somebody-elses-job")
    unknown = change(JobRecords(intake.store, new_id()))
    told = events("{", blocked, nobody, unknown)
    assert lambdas.notifier(told, None) == {"batchItemFailures": []}
    assert "message m-0 is about no job of ours" in caplog.text
    assert list(intake.store.names("")) == []


def test_the_endpoint_puts_jobs_on_the_queue_and_the_dispatcher_takes_them_from_there(
    intake: Intake,
) -> None:
    records = submit(lambdas._endpoint_service(), load_document(SELF_TEST))
    assert intake.account.jobs() == []
    assert records.pending() is not None
    intake.poll()
    assert len(intake.account.jobs()) == 1
    assert records.pending() is None
