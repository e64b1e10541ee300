"""Submit, watch and retry jobs that run a batch of items to the end.

    from batchlab import JobDocument, ZipExportParams, load_document

The names are loaded when they are asked for: a small module of batchlab costs no more than it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchlab.document import JobDocument, load_document
    from batchlab.errors import BatchlabError, DocumentError
    from batchlab.jobs.zip_export import ZipExportParams
    from batchlab.limits import Limits, Resources

__all__ = [
    "BatchlabError",
    "DocumentError",
    "JobDocument",
    "Limits",
    "Resources",
    "ZipExportParams",
    "load_document",
]

_MODULES = {
    "BatchlabError": "batchlab.errors",
    "DocumentError": "batchlab.errors",
    "JobDocument": "batchlab.document",
    "Limits": "batchlab.limits",
    "Resources": "batchlab.limits",
    "ZipExportParams": "batchlab.jobs.zip_export",
    "load_document": "batchlab.document",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'batchlab' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
