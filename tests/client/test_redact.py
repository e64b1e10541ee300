import time

import pytest

from batchlab.redact import scrub, scrubbed, shown

CANARY = "CANARY7secret"
SIGNED = f"https://h/a%20b.jpg?X-Amz-Credential=AKIA/x&X-Amz-Signature={CANARY}"

CARRIERS = {
    "presigned url": f"GET {SIGNED} said 403",
    "firebase token": f"https://firebasestorage.googleapis.com/v0/b/x/o/a%2Fb.jpg?alt=media&token={CANARY}",
    "token in a fragment": f"https://h/p#access_token={CANARY}",
    "token as the user": f"https://{CANARY}@github.com/x",
    "password": f"postgres://u:{CANARY}@h/db",
    "password with braces": f"postgres://u:p{{{CANARY}}}x@h/db",
    "password with a slash": f"postgres://u:p/{CANARY}@h/db",
    "password with an at": f"https://u:a@{CANARY}@h/x",
    "password without a user": f"redis://:{CANARY}@h:6379/0",
    "password without a scheme": f"//u:{CANARY}@h/x",
    "libpq": f"host=x password={CANARY} dbname=y",
    "urllib3": f"Max retries exceeded with url: /o/y.jpg?alt=media&token={CANARY} (Caused by x)",
    "urllib3's request line": f'"GET /x?sig={CANARY}&se=1 HTTP/1.1" 403',
    "headers as a dict": f"{{'Authorization': 'Bearer {CANARY}', 'X-Amz-Security-Token': '{CANARY}'}}",
    "headers as pairs": f"[(b'authorization', b'Bearer {CANARY}'), ('x-api-key', '{CANARY}')]",
    "header line": f"Proxy-Authorization: Basic {CANARY}",
    "sigv4": f"authorization: AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature={CANARY}",
    "cookie": f"Set-Cookie: session={CANARY}; Path=/",
    "a url in a url": f"https://h/fetch/https%3A%2F%2Fx%2Fy%3Falt%3Dmedia%26token%3D{CANARY}",
    "a query a url stops at": f"https://h/a?filter={{x}}&token={CANARY}",
    "json": f'{{"api_key": "{CANARY} {CANARY}"}}',
    "escaped json": f"https://h/a?x=1\\u0026token={CANARY}",
    "ini": f"aws_secret_access_key = {CANARY}",
    "sentence": f"password: {CANARY}",
    "json web token": f"eyJhbGciOiJI.eyJzdWIi{CANARY}.{CANARY}",
}


@pytest.mark.parametrize("text", CARRIERS.values(), ids=CARRIERS)
def test_no_secret_survives(text: str) -> None:
    cut = scrub(text)
    assert CANARY not in cut
    assert scrub(cut) == cut


def test_a_webhook_secret_is_known_by_its_own_beginning() -> None:
    assert (
        scrub("no key: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw+/==, expected 24 bytes")
        == "no key: ..., expected 24 bytes"
    )
    assert scrub("Write whsec_ and 24 to 64 random bytes.") == "Write whsec_ and 24 to 64 random bytes."


@pytest.mark.parametrize(
    "text",
    [
        "params.password: unknown field; did you mean password_ref?",
        "The token expired; key: 001.jpg",
        "Set BATCHLAB_HTTP_HOSTS=photos.example to allow it.",
        "https://h:8080/@user/1.jpg",
        "s3://bucket/key/a%20b.jpg",
        "file:///home/ann/album.zip",
        "Basic understanding of tokens",
        "what? really=1",
        "album (2).zip, 12 files: 44.0 MB",
    ],
)
def test_plain_sentences_stay_as_they_are(text: str) -> None:
    assert scrub(text) == text


def test_a_shown_url_keeps_host_and_path() -> None:
    assert shown(SIGNED) == "https://h/a%20b.jpg"
    assert shown("https://u:p@h/@ann/1.jpg") == "https://h/@ann/1.jpg"
    assert shown("file:///a/b") == "file:///a/b"
    assert CANARY not in shown(f"https://[bad/x?{CANARY}")


def test_json_is_scrubbed_in_its_depth() -> None:
    assert CANARY not in str(scrubbed({"a": [{"b": SIGNED, SIGNED: 1}], "n": 3}))
    assert scrubbed({"n": 3, "x": None}) == {"n": 3, "x": None}


@pytest.mark.parametrize(
    "bait", ["a-", "?", "://u:", "%3F", "eyJ", "@", "' ", "?token", "-----BEGIN ", "=, "]
)
def test_a_hostile_text_costs_no_more_than_its_length(bait: str) -> None:
    """Quadratic patterns would need hours for these, so the bound is generous: a wall, not a timing."""
    begin = time.process_time()
    scrub(bait * (200_000 // len(bait)))
    assert time.process_time() - begin < 20
