"""Which job is meant: by its id, by an unmistakable beginning of it, or as the latest."""

from __future__ import annotations

from batchlab.errors import NotFound, UsageError
from batchlab.ids import is_id
from batchlab.store import Store

LATEST = ("latest", "@last")
_SHOWN = 3


def choose_job(store: Store, text: str) -> str:
    """The id that `text` means in this store; raises NotFound, or UsageError when it could mean several."""
    from batchlab.records import list_jobs

    if text in LATEST:
        newest = next(list_jobs(store), None)
        if newest is None:
            raise NotFound(f"There are no jobs in {store.url} yet. Make one: batchlab demo")
        return newest.id
    beginning = text.strip().lower()
    if is_id(beginning):
        return beginning
    if not beginning or not beginning.isalnum():
        raise UsageError(
            f"{text!r} is no job id. `batchlab list` shows the ids; latest means the newest job."
        )
    found = _beginning_with(store, beginning)
    if not found:
        raise NotFound(f"There is no job {beginning} in {store.url}. `batchlab list` shows what is there.")
    if len(found) > 1:
        raise UsageError(f"{beginning} is the beginning of several ids: {', '.join(found)}. Give more of it.")
    return found[0]


def _beginning_with(store: Store, beginning: str) -> list[str]:
    """The first ids that begin so; each is found by one listing, whatever the number of documents."""
    found: list[str] = []
    after = ""
    while len(found) < _SHOWN:
        name = next(store.names(f"jobs/{beginning}", after=after), None)
        if name is None:
            break
        found.append(name.split("/")[1])
        after = f"jobs/{found[-1]}0"  # "0" is the byte behind "/"
    return found
