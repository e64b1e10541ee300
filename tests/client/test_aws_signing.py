"""Signatures, held against botocore's own, which sees exactly the same request."""

from __future__ import annotations

from datetime import UTC, datetime

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchlab.aws_signing import UNSIGNED, Keys, encoded_path, encoded_query, signed

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
NAMES = st.from_regex(r"x-amz-(meta-)?[a-z0-9-]{1,20}", fullmatch=True)
RESERVED = ("x-amz-date", "x-amz-content-sha256", "x-amz-security-token")


@given(
    keys=st.builds(Keys, WORDS, TEXTS.filter(bool), st.one_of(st.just(""), WORDS)),
    region=st.sampled_from(("us-east-1", "eu-central-1", "cn-north-1", "auto")),
    method=st.sampled_from(("GET", "PUT", "POST", "HEAD", "DELETE")),
    host=st.sampled_from(("bucket.s3.eu-central-1.amazonaws.com", "127.0.0.1:8333", "[::1]:9000")),
    key=TEXTS,
    query=st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=4),
    headers=st.dictionaries(NAMES.filter(lambda name: name not in RESERVED), WORDS, max_size=4),
)
@example(
    Keys("AKIDEXAMPLE", "secret", "token/+="), "eu-central-1", "PUT", "127.0.0.1:8333", "a b+/~%&=?#'*()!ü",
    {"uploadId": "a+/=~ b", "partNumber": "1"}, {"x-amz-meta-plan": "two   blanks"},
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_a_signature_is_the_one_that_botocore_makes(
    keys: Keys,
    region: str,
    method: str,
    host: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
) -> None:
    path, asked = "/" + encoded_path(key), encoded_query(query)
    request = AWSRequest(method, f"https://{host}{path}{'?' + asked if asked else ''}", dict(headers))
    request.context["client_config"] = Config(s3={"payload_signing_enabled": False})
    botocore_keys = Credentials(keys.access_key, keys.secret_key, keys.session_token or None)
    S3SigV4Auth(botocore_keys, "s3", region).add_auth(request)
    now = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    sent = signed(keys, region, method, host, path, asked, headers, payload_sha256=UNSIGNED, now=now)
    theirs = {name.lower(): value for name, value in request.headers.items()}
    assert sent.pop("host") == host
    assert sent["authorization"] == theirs["authorization"]
    assert sent.keys() == theirs.keys()


def test_secrets_are_not_shown() -> None:
    assert "canary" not in repr(Keys("id", "canary-secret", "canary-token"))
