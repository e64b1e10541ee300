"""Secrets of the environment in AWS Secrets Manager, under the names that the stack gives to jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from botocore.exceptions import ClientError

from batchlab.aws import code_and_status
from batchlab.errors import UsageError
from batchlab.named import SECRET_VARIABLES
from batchlab.streams import say
from batchlab_infra.deploy.account import Account
from batchlab_infra.names import Names
from batchlab_infra.settings import R2, R2_VARIABLES, WEBHOOK_SECRET

# Read from the environment without being asked for, as are the variables of named entries (BATCHLAB_PASSWORD_WEDDING);
# a secret of your own is listed in the setting `secrets`.
USUAL = ("FIREBASE_SERVICE_ACCOUNT", "DATABASE_URL", "GEMINI_API_KEY", WEBHOOK_SECRET)


def given(environ: Mapping[str, str], more: tuple[str, ...]) -> dict[str, str]:
    """The value of each secret that the environment has."""
    entries = [name for name in environ if name.startswith(tuple(SECRET_VARIABLES.values()))]
    wanted = (*USUAL, *entries, *more)
    values = {name: environ[name].strip() for name in wanted if environ.get(name, "").strip()}
    firebase = values.get("FIREBASE_SERVICE_ACCOUNT", "")
    if firebase and not firebase.startswith("{"):  # a path: the container has no such file
        values["FIREBASE_SERVICE_ACCOUNT"] = Path(firebase).read_text("utf-8").strip()
    r2 = {name: environ.get(name, "").strip() for name in R2_VARIABLES}
    if all(r2.values()):
        values[R2] = json.dumps(r2)
    return values


def store(
    account: Account, names: Names, values: Mapping[str, str], wanted: tuple[str, ...]
) -> tuple[str, ...]:
    """Every secret of `values` is in Secrets Manager; returns the names of all that jobs are to be given.

    These are the wanted ones and all that are there already, so a deployment from another machine takes none
    away. Raises UsageError when a wanted one has no value anywhere.
    """
    for name, value in sorted(values.items()):
        _put(account, names, name, value)
    known = there(account, names)
    if missing := sorted(set(wanted) - set(known)):
        raise UsageError(
            f"secrets: there is no value for {', '.join(missing)}. Set the environment variable of that name"
            f"{' (for R2: ' + ', '.join(R2_VARIABLES) + ')' if R2 in missing else ''}, and run ./deploy.sh again."
        )
    return tuple(sorted(known))


def _put(account: Account, names: Names, name: str, value: str) -> None:
    client, secret = account.client("secretsmanager"), names.secret(name)
    with account.asking(f"secret {secret}"):
        try:
            now = client.get_secret_value(SecretId=secret)["SecretString"]
        except ClientError as error:
            code = code_and_status(error)[0]
            if code == "ResourceNotFoundException":
                tags = [{"Key": "batchlab", "Value": names.name}]
                client.create_secret(Name=secret, SecretString=value, Tags=tags)
                say(f"secret {secret}: made")
                return
            if code != "InvalidRequestException":
                raise
            client.restore_secret(SecretId=secret)  # --destroy had marked it for deletion
            now = None
        if now != value:
            client.put_secret_value(SecretId=secret, SecretString=value)
            say(f"secret {secret}: changed; jobs that start from now on get it")


def there(account: Account, names: Names) -> list[str]:
    """The names of the secrets that Secrets Manager has for this stack."""
    client, prefix = account.client("secretsmanager"), names.secret("")
    with account.asking("secrets"):
        pages = client.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [prefix]}])
        found = [
            secret["Name"] for page in pages for secret in page["SecretList"] if "DeletedDate" not in secret
        ]
    return [name.removeprefix(prefix) for name in found if name.startswith(prefix)]


def delete(account: Account, names: Names) -> None:
    """All are marked for deletion, and can be restored for seven days."""
    client = account.client("secretsmanager")
    for name in there(account, names):
        with account.asking(f"secret {names.secret(name)}"):
            client.delete_secret(SecretId=names.secret(name), RecoveryWindowInDays=7)
