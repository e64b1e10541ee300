"""batchlab_infra.deploy.secret_values: what the environment of deploy.sh gives to AWS Secrets Manager."""

from __future__ import annotations

from batchlab_infra.deploy.secret_values import given


def test_secrets_of_named_entries_are_taken_without_being_listed() -> None:
    entries = {"BATCHLAB_WEBHOOK_SECRET_SHOP": "whsec_a", "BATCHLAB_PASSWORD_WEDDING": "b"}
    others = {"BATCHLAB_WEBHOOK_HOSTS": "shop.example", "HOME": "/root", "BATCHLAB_PASSWORD_EMPTY": " "}
    assert given({**entries, **others, "MINE": "c"}, ("MINE",)) == {**entries, "MINE": "c"}
