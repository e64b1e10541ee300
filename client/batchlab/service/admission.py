"""What comes in at the door of the service: valid documents of allowed types that touch allowed places only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from batchlab.authority import Authority
from batchlab.document import JobDocument, Types, load_document
from batchlab.errors import DocumentError
from batchlab.jobs import known_types, params_model
from batchlab.jobs.base import JobParams
from batchlab.notify import refusals as notify_refusals
from batchlab.settings import Settings
from batchlab.store import Store

MOST_REFUSALS = 50  # lines that somebody still reads; a list of 5,000 photos on one wrong host is one mistake


def read_submitted(source: str | bytes | Mapping[str, Any], settings: Settings) -> JobDocument:
    """The document that `source` spells; raises DocumentError with everything that is wrong.

    The params of an allowed type that is not installed here are left to the processor.
    """
    return load_document(source, types=allowed_types(settings))


def allowed_types(settings: Settings) -> Types:
    """The job types that a document may name, with their params where they are installed."""
    installed = {name: params_model(name) for name in known_types()}
    return {**dict.fromkeys(settings.job_types), **installed}


def admit(document: JobDocument, settings: Settings, store: Store) -> None:
    """Raises DocumentError, a line for each thing that the settings do not allow: type, places, whom to tell."""
    authority = Authority.of_settings(settings, store_url=store.url)
    outputs = () if document.output is None else (document.output,)
    refused = authority.refusals(job_type=document.type, outputs=outputs)
    refused += _of_sources(authority, sources_of(document))
    refused += notify_refusals(document, settings)
    if refused:
        raise DocumentError(refused)


def sources_of(document: JobDocument) -> Iterable[str]:
    """What the document itself names to be read. The lists that it names are checked where they are read."""
    model = params_model(document.type)
    if model is None or not issubclass(model, JobParams):
        return ()
    params: JobParams = document.typed_params
    return params.sources()


def _of_sources(authority: Authority, sources: Iterable[str]) -> list[str]:
    """Looks no further than somebody reads: of 100,000 photos each takes 0.2 ms to refuse."""
    left, lines = iter(sources), dict[str, None]()
    while some := list(islice(left, MOST_REFUSALS)):
        lines.update(dict.fromkeys(authority.refusals(sources=some)))
        if len(lines) >= MOST_REFUSALS:
            return [*list(lines)[:MOST_REFUSALS], "... and perhaps more; no further source was looked at."]
    return list(lines)
