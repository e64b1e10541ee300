"""Submit, watch and retry jobs that run a batch of items to the end.

    from batchlab import Client, ZipExport

The names are loaded when they are asked for: a small module of batchlab costs no more than it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchlab.api import Estimate, ItemInfo, JobInfo
    from batchlab.async_client import AsyncClient
    from batchlab.client import Client
    from batchlab.document import JobDocument, load_document
    from batchlab.documents_of_types import ContactSheets, SelfTest, ZipExport
    from batchlab.errors import (
        BatchlabError,
        Denied,
        DocumentError,
        KeyTaken,
        NotFound,
        ServiceError,
        UsageError,
        WaitTimeout,
    )
    from batchlab.job import Job
    from batchlab.jobs.zip_export import ZipExportParams
    from batchlab.limits import Limits, Resources
    from batchlab.status import State

__all__ = [
    "AsyncClient",
    "BatchlabError",
    "Client",
    "ContactSheets",
    "Denied",
    "DocumentError",
    "Estimate",
    "ItemInfo",
    "Job",
    "JobDocument",
    "JobInfo",
    "KeyTaken",
    "Limits",
    "NotFound",
    "Resources",
    "SelfTest",
    "ServiceError",
    "State",
    "UsageError",
    "WaitTimeout",
    "ZipExport",
    "ZipExportParams",
    "load_document",
]

_MODULES = {
    "AsyncClient": "batchlab.async_client",
    "BatchlabError": "batchlab.errors",
    "Client": "batchlab.client",
    "ContactSheets": "batchlab.documents_of_types",
    "Denied": "batchlab.errors",
    "DocumentError": "batchlab.errors",
    "Estimate": "batchlab.api",
    "ItemInfo": "batchlab.api",
    "Job": "batchlab.job",
    "JobDocument": "batchlab.document",
    "JobInfo": "batchlab.api",
    "KeyTaken": "batchlab.errors",
    "Limits": "batchlab.limits",
    "NotFound": "batchlab.errors",
    "Resources": "batchlab.limits",
    "SelfTest": "batchlab.documents_of_types",
    "ServiceError": "batchlab.errors",
    "State": "batchlab.status",
    "UsageError": "batchlab.errors",
    "WaitTimeout": "batchlab.errors",
    "ZipExport": "batchlab.documents_of_types",
    "ZipExportParams": "batchlab.jobs.zip_export",
    "load_document": "batchlab.document",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'batchlab' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
