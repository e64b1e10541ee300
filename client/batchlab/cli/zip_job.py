"""From the options of `batchlab zip` to a job document."""

from __future__ import annotations

from typing import Any

from batchlab.cli.jobs_here import PASSWORD_REF
from batchlab.document import JobDocument, load_document
from batchlab.errors import DocumentError

# A problem is told of the option that its writer sees, not of the field behind it.
_OPTIONS = {
    "limits.workers": "--workers",
    "limits.deadline": "--deadline",
    "limits.max_failures": "--max-failures",
    "params.compress": "--compress",
    "params.max_archive_bytes": "--max-archive-bytes",
    "params.name": "--to",
    "output": "--to",
    "title": "--title",
}


def zip_document(
    params: dict[str, Any], output: str, title: str, limits: dict[str, Any], password_file: str
) -> JobDocument:
    """The document of a zip-export; empty texts stand for what was not asked for. Raises DocumentError."""
    asked = {name: _number(value) for name, value in limits.items() if value != ""}
    if password_file:
        params = {**params, "password_ref": PASSWORD_REF}
    body = {"type": "zip-export", "title": title, "params": params, "output": output, "limits": asked}
    try:
        return load_document(body)
    except DocumentError as error:
        raise DocumentError([_of_option(problem) for problem in error.problems]) from None


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _of_option(problem: str) -> str:
    place, colon, message = problem.partition(":")
    return _OPTIONS.get(place, place) + colon + message
