"""Which job is meant: by its id, by an unmistakable beginning of it, or as the latest."""

from __future__ import annotations

from batchlab.backend import Backend, JobQuery
from batchlab.errors import NotFound, UsageError
from batchlab.ids import is_id
from batchlab.store import Store

LATEST = ("latest", "@last")
_SHOWN = 3
_PAGE = 500
_LOOKED_THROUGH = 2_000  # jobs, the newest first: older ones are named whole


def choose(backend: Backend, place: str, text: str) -> str:
    """The id that `text` means there; raises NotFound, or UsageError when it could mean several."""
    store = getattr(backend, "store", None)
    if store is not None:
        return choose_job(store, text)
    if text in LATEST:
        newest = backend.list(JobQuery(limit=1)).jobs
        if not newest:
            raise NotFound(f"There are no jobs at {place} yet. Make one: batchlab submit DOCUMENT")
        return newest[0].id
    beginning = _checked(text)
    return beginning if is_id(beginning) else _one_of(_listed(backend, beginning), beginning, f"at {place}")


def choose_job(store: Store, text: str) -> str:
    """The id that `text` means in this store; raises NotFound, or UsageError when it could mean several."""
    from batchlab.job_index import list_jobs

    if text in LATEST:
        newest = next(list_jobs(store), None)
        if newest is None:
            raise NotFound(f"There are no jobs in {store.url} yet. Make one: batchlab demo")
        return newest.id
    beginning = _checked(text)
    if is_id(beginning):
        return beginning
    return _one_of(_beginning_with(store, beginning), beginning, f"in {store.url}")


def _checked(text: str) -> str:
    beginning = text.strip().lower()
    if not beginning or not beginning.isalnum():
        raise UsageError(
            f"{text!r} is no job id. `batchlab list` shows the ids; latest means the newest job."
        )
    return beginning


def _one_of(found: list[str], beginning: str, where: str) -> str:
    if not found:
        raise NotFound(f"There is no job {beginning} {where}. `batchlab list` shows what is there.")
    if len(found) > 1:
        raise UsageError(f"{beginning} is the beginning of several ids: {', '.join(found)}. Give more of it.")
    return found[0]


def _listed(backend: Backend, beginning: str) -> list[str]:
    """The first ids that begin so, of the newest jobs."""
    found: list[str] = []
    looked, cursor = 0, None
    while looked < _LOOKED_THROUGH:
        page = backend.list(JobQuery(limit=_PAGE, cursor=cursor))
        found += [job.id for job in page.jobs if job.id.startswith(beginning)]
        looked, cursor = looked + len(page.jobs), page.next
        if cursor is None or len(found) >= _SHOWN:
            break
    return found[:_SHOWN]


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
