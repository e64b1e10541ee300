"""Secrets of the functions: AWS Lambda hands over names only, and AWS Secrets Manager the values."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from batchlab import aws

# {"BATCHLAB_WEBHOOK_SECRET": "batchlab/WEBHOOK_SECRET"}: the variable that the secret of this name is for. A secret
# that is a JSON object holds variables itself, as R2's four do.
VARIABLE = "SECRETS"

logger = logging.getLogger("batchlab")


def with_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` and the secrets it names.

    One that cannot be read is left out, and the log says so: jobs end without it.
    """
    named: dict[str, str] = json.loads(environ.get(VARIABLE) or "{}")
    found = dict(environ)
    client = aws.service_client("secretsmanager") if named else None
    for variable, name in named.items():
        try:
            assert client is not None
            text = client.get_secret_value(SecretId=name)["SecretString"]
        except Exception as error:  # noqa: BLE001  BotoCoreError and ClientError, and what an HTTP library adds
            logger.error("%s is not set: %s", variable, aws.explained(error, f"secret {name}").message)
            continue
        found |= json.loads(text) if text.lstrip().startswith("{") else {variable: text}
    return found
