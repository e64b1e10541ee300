"""Writing a job's page: pages/<token>/{link.json, gone.html, index.html, status.json}, in this order.

`link.json` is there while something can be downloaded, and empty once it has expired; `gone.html` is what is shown
from then on. The contract stands in docs/customer-page.md, because others serve these files too.
"""

from __future__ import annotations

import json

from batchlab.page import html
from batchlab.page.links import token
from batchlab.page.live import status_json
from batchlab.page.pages import Pages
from batchlab.page.view import View, view_of
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.status import Status

_HTML, _JSON = "text/html; charset=utf-8", "application/json"


def publish(
    records: JobRecords, pages: Pages, settings: Settings, *, eta_seconds: float | None = None
) -> None:
    """Afterwards the job's page shows its status, whoever else writes it at the same time.

    `eta_seconds` is what a run itself expects; without it the pace so far says. Raises NotFound for a job that
    does not exist, ServiceError or Denied when storage does not answer; publishing again is harmless.
    """
    its_token = token(records)
    status = records.status()
    while True:
        _write(view_of(records, status, settings, eta_seconds), pages, its_token)
        now = records.status()
        if _alike(now, status):
            return
        # Somebody moved it while we wrote, and may have written the page before we did.
        status, eta_seconds = now, None


def _write(view: View, pages: Pages, its_token: str) -> None:
    link = _link(view)
    if link is None:
        pages.delete(f"{its_token}/link.json")
    else:
        pages.put(f"{its_token}/link.json", link, _JSON)
        pages.put(f"{its_token}/gone.html", html.gone(view), _HTML)
    pages.put(f"{its_token}/index.html", html.page(view, its_token), _HTML)
    # Last, because the page's script loads index.html again when this has changed.
    pages.put(f"{its_token}/status.json", status_json(view), _JSON)


def _link(view: View) -> bytes | None:
    """The body of link.json; None when there is nothing to download and never was, or the job goes on without it."""
    delivery = view.delivery
    if delivery is None and view.stage != "expired":
        return None
    downloads = () if delivery is None else delivery.downloads
    expires_at = view.expires_at if delivery is None else delivery.expires_at
    body = {
        "version": 1,
        "generation": view.status.generation if delivery is None else delivery.generation,
        "state": "expired" if delivery is None else str(delivery.state),
        "language": view.language,
        "title": view.title,
        "contact": view.contact,
        "expires_at": None if expires_at is None else expires_at.isoformat(),
        "artifacts": [
            {
                "number": download.number,
                "name": download.name,
                "url": download.url,
                "size_bytes": download.size_bytes,
                "members": download.members,
                "content_type": download.content_type,
            }
            for download in downloads
        ],
    }
    return json.dumps(body, ensure_ascii=False).encode(errors="replace")


def _alike(now: Status, before: Status) -> bool:
    """Whether a page of `before` is still right but for its counts."""
    return now.model_dump(exclude={"counts", "last_progress_at"}) == before.model_dump(
        exclude={"counts", "last_progress_at"}
    )
