"""What a client takes for a job document, and what its caller adds to it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from batchlab.document import JobDocument, load_document
from batchlab.documents_of_types import TypedDocument
from batchlab.errors import DocumentError
from batchlab.jobs import known_types, params_model
from batchlab.reading import read_text
from batchlab.targets import EmailTarget, WebhookTarget

# A JobDocument, a typed document, a mapping, JSON or YAML text, or the path of a file that holds one.
Document = JobDocument | TypedDocument | Mapping[str, Any] | str | bytes | Path
Target = str | Mapping[str, Any] | EmailTarget | WebhookTarget


def take(
    document: Document,
    *,
    idempotency_key: str | None = None,
    notify: Target | Iterable[Target] = (),
    expires: str | timedelta | None = None,
    tags: Mapping[str, str] | None = None,
    known_elsewhere: bool = False,
) -> JobDocument:
    """`document` with what is given beside it: the key and `expires` in place of its own, the others added to its own.

    With `known_elsewhere` a job type that is not installed here is left for the service to judge.
    Raises DocumentError with everything that is wrong.
    """
    added: dict[str, Any] = {}
    if idempotency_key is not None:
        added["idempotency_key"] = idempotency_key
    if expires is not None:
        added["expires"] = expires
    targets = [_target(each) for each in ([notify] if isinstance(notify, _ONE_TARGET) else notify)]
    if isinstance(document, TypedDocument):
        document = document.document
    if isinstance(document, JobDocument) and not (added or targets or tags):
        return document
    values, name = _values(document)
    if not isinstance(values, Mapping):
        return load_document(values, name=name)  # says what was expected
    values = (
        copy.copy(values) if isinstance(values, dict) else dict(values)
    )  # a copy keeps what a reader noted
    if targets:
        values["notify"] = [*(values.get("notify") or ()), *targets]
    if tags:
        values["tags"] = {**(values.get("tags") or {}), **tags}
    values.update(added)
    return load_document(values, name=name, types=types_with(values.get("type")) if known_elsewhere else None)


_ONE_TARGET = (str, Mapping, EmailTarget, WebhookTarget)


def _target(target: Target) -> Any:
    """ "ana@example.com" and "https://..." say what they are."""
    if isinstance(target, str):
        return {"webhook": target} if "://" in target else {"email": target}
    return target


def _values(document: JobDocument | Mapping[str, Any] | str | bytes | Path) -> tuple[Any, str]:
    if isinstance(document, JobDocument):
        return document.as_json(), "document"
    if isinstance(document, Path):
        try:
            return read_text(document.read_bytes(), document.name), document.name
        except OSError as error:
            raise DocumentError(f"{document}: cannot be read: {error.strerror}.") from None
    return (read_text(document, "document") if isinstance(document, str | bytes) else document), "document"


def types_with(name: Any) -> dict[str, type[BaseModel] | None]:
    """The installed job types, and `name` whether it is one or not; only its own params are checked."""
    known = dict.fromkeys(known_types())
    return {**known, name: params_model(name)} if isinstance(name, str) else {**known}
