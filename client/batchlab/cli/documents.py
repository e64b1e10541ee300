"""Job documents that lie on this machine: read, with the places beside them filled in, and what they name."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batchlab.cli.jobs_here import PASSWORD_REF, Job
from batchlab.cli.places import url_of
from batchlab.document import load_document
from batchlab.documents_taken import types_with
from batchlab.errors import UsageError
from batchlab.jobs import params_model
from batchlab.jobs.base import JobParams
from batchlab.reading import read_text

_BESIDE = re.compile(r"\.\.?/")
_SOURCE = re.compile(r"(?:https?|s3|r2|gs|file)://")


def read_job(argument: str, password_file: str, *, known_elsewhere: bool = False) -> Job:
    """The job that a file (or "-", standard input) describes; raises UsageError or DocumentError.

    With `known_elsewhere` a job type that is not installed here is left for the service to judge.
    """
    name, folder = "standard input", Path()
    if argument == "-":
        text = sys.stdin.buffer.read()
    else:
        path = Path(argument).expanduser()
        name, folder = path.name, path.absolute().parent
        text = _read(path)
    values = read_text(text, name)
    if isinstance(values, dict):
        for part in ("params", "output"):
            if part in values:
                values[part] = _with_urls(values[part], folder)
        if password_file and isinstance(values.get("params"), dict):
            values["params"].setdefault("password_ref", PASSWORD_REF)
    types = types_with(values.get("type")) if known_elsewhere and isinstance(values, dict) else None
    document = load_document(values, name=name, types=types)
    model = params_model(document.type)
    roots = document.typed_params.roots() if model and issubclass(model, JobParams) else ()
    return Job(
        document=document,
        sources=[*_urls(document.params), *roots],
        outputs=[] if document.output is None else [document.output],
        described=document.title,
        password_file=password_file,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such document.") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from None


def _with_urls(value: Any, folder: Path) -> Any:
    """`value` with each text that begins with ./ or ../ as the URL of that place; done in its own lists and objects,

    so that what the reader noted of them (a field written twice) is not lost.
    """
    if isinstance(value, str):
        return url_of(value, folder) if _BESIDE.match(value) else value
    if isinstance(value, list):
        value[:] = [_with_urls(part, folder) for part in value]
    elif isinstance(value, dict):
        value.update({name: _with_urls(part, folder) for name, part in value.items()})
    return value


def _urls(value: Any) -> Iterator[str]:
    """Every text in `value` that is a URL somebody could read from."""
    if isinstance(value, str):
        if _SOURCE.match(value):
            yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _urls(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _urls(part)
