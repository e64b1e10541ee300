"""The typed params of the job types: ours by name, strangers' by the entry points `batchlab.params`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from pydantic import BaseModel

from batchlab.errors import DocumentError

GROUP = "batchlab.params"

# Our own go by this table and not by entry points: a Worker's bundle or a checkout has no metadata to read.
_BUILT_IN = {
    "cleanup": ("batchlab.jobs.cleanup", "CleanupParams"),
    "contact-sheets": ("batchlab.jobs.contact_sheets", "ContactSheetsParams"),
    "self-test": ("batchlab.jobs.self_test", "SelfTestParams"),
    "zip-export": ("batchlab.jobs.zip_export", "ZipExportParams"),
}


def built_in_types() -> tuple[str, ...]:
    """The names of our own job types, sorted."""
    return tuple(sorted(_BUILT_IN))


def known_types() -> tuple[str, ...]:
    """The names of all job types whose params are installed here, sorted."""
    return tuple(sorted({*_BUILT_IN, *_strangers()}))


def params_model(type_name: str) -> type[BaseModel] | None:
    """The model of a job type's params, or None when it is not installed here. Our own names cannot be taken.

    Raises DocumentError when it is installed and cannot be loaded.
    """
    if type_name in _BUILT_IN:
        module, name = _BUILT_IN[type_name]
        model: type[BaseModel] = getattr(import_module(module), name)
        return model
    return _loaded(_strangers()[type_name]) if type_name in _strangers() else None


@cache
def _strangers() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _loaded(entry: EntryPoint) -> type[BaseModel]:
    try:
        model = entry.load()
    except Exception as error:
        message = f"type: {entry.name} is installed, but {entry.value} cannot be imported: {error}."
        raise DocumentError(f"{message} Install its distribution again.") from error
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise DocumentError(f"type: {entry.name} is installed, but {entry.value} is no pydantic model.")
    return model
