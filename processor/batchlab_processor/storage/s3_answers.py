"""What an S3 API answered: its XML as plain values, its refusals as ItemErrors. Nothing of boto3 is imported here."""

from __future__ import annotations

from xml.etree import ElementTree

from batchlab.aws_requests import Answered
from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.s3_codes import CURES, kind_of_code
from batchlab_processor.storage.statuses import retry_after_seconds


class Refused(ItemError):
    """An answer that says no; `code` is the service's word, "" where it gave none."""

    code = ""


def refusal(answer: Answered, operation: str, url: str) -> Refused | None:
    """What is wrong with an answer; None when it is well. A 200 may hold an error too: its body is looked at."""
    root = _tree(answer.body) if answer.body else None
    failed = root is not None and root.tag == "Error"
    if answer.status < 300 and not failed:
        return None
    code = text(root, "Code") if failed else ""
    status = answer.status if answer.status >= 300 else 500  # an error in a 200 is the server's own
    said = (text(root, "Message") if failed else "") or code or f"status {status}"
    kind = kind_of_code(code, status)
    if status == 400 and operation.startswith("Head"):
        kind = Kind.EXPIRED_CREDENTIALS  # the answer to a HEAD has no words; with an expired token it is this
    line = f"{shown(url)}: {operation}: {said.rstrip('.')} ({code or status}). {CURES.get(code, '')}".strip()
    refused = Refused(
        kind, line, retry_after_seconds=retry_after_seconds(answer.headers.get("retry-after", ""))
    )
    refused.code = code
    return refused


def tree(answer: Answered, operation: str, url: str) -> ElementTree.Element:
    """The answer's XML without its namespace; raises ItemError(api_error) when it is none."""
    root = _tree(answer.body)
    if root is None:
        raise ItemError(Kind.API_ERROR, f"{shown(url)}: {operation}: the answer cannot be read.")
    return root


def text(element: ElementTree.Element | None, name: str) -> str:
    """The text of a child; "" where there is none."""
    return (element.findtext(name) or "").strip() if element is not None else ""


def etag(raw: str) -> str:
    """An ETag with its quotation marks, which some servers leave out; "" of nothing."""
    bare = raw.strip().strip('"')
    return f'"{bare}"' if bare else ""


def _tree(body: bytes) -> ElementTree.Element | None:
    try:
        root = ElementTree.fromstring(body.strip())  # noqa: S314  of the operator's own endpoint
    except ElementTree.ParseError:
        return None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root
