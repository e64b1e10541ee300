"""batchlab.service.secrets: functions are given names, and read the values."""

from __future__ import annotations

import json

import pytest

from batchlab import aws
from batchlab.service.secrets import VARIABLE, with_secrets
from tests.client.service.conftest import Simulated


@pytest.fixture(autouse=True)
def simulated(account: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "service_client", lambda name, *_, **__: getattr(account, name))


def test_without_names_nothing_is_asked() -> None:
    assert with_secrets({"A": "1"}) == {"A": "1"}


def test_a_secret_is_the_value_of_its_variable_and_an_object_holds_variables_itself(
    account: Simulated,
) -> None:
    account.secretsmanager.create_secret(Name=f"{account.queue}/WEBHOOK_SECRET", SecretString="whsec_abc")
    account.secretsmanager.create_secret(
        Name=f"{account.queue}/R2", SecretString=json.dumps({"R2_ENDPOINT": "https://r2", "R2_BUCKET": "b"})
    )
    named = {
        "BATCHLAB_WEBHOOK_SECRET": f"{account.queue}/WEBHOOK_SECRET",
        "R2": f"{account.queue}/R2",
    }
    found = with_secrets({VARIABLE: json.dumps(named)})
    assert found["BATCHLAB_WEBHOOK_SECRET"] == "whsec_abc"
    assert (found["R2_ENDPOINT"], found["R2_BUCKET"]) == ("https://r2", "b")


def test_a_secret_that_is_not_there_is_said_in_the_log_and_left_out(
    account: Simulated, caplog: pytest.LogCaptureFixture
) -> None:
    found = with_secrets({VARIABLE: json.dumps({"BATCHLAB_WEBHOOK_SECRET": f"{account.queue}/absent"})})
    assert "BATCHLAB_WEBHOOK_SECRET" not in found
    assert f"{account.queue}/absent" in caplog.text
