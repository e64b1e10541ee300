"""What moves while a job runs, in words: on the page, and in status.json for the page's script."""

from __future__ import annotations

import json
from datetime import datetime

from batchlab.page.texts import Texts, texts
from batchlab.page.view import View


def live(view: View, words: Texts) -> dict[str, str]:
    """By the place on the page where it stands; "" where there is nothing to say."""
    counts, job_type = view.status.counts, view.status.type
    said = {"counts": words.say("progress.counting"), "size": "", "eta": "", "missing": ""}
    if counts.total:
        total = words.counted(counts.total, job_type)
        said["counts"] = words.say("progress.counts", done=words.number(counts.done), total=total)
    if counts.total_bytes:
        done, total = words.size(counts.done_bytes), words.size(counts.total_bytes)
        said["size"] = words.say("progress.counts", done=done, total=total)
    if view.eta_seconds is not None and view.stage == "running" and not view.stalled:
        said["eta"] = words.left(view.eta_seconds)
    if view.missing_count and not view.status.ended:
        said["missing"] = words.say(
            "progress.missing_so_far", missing=words.counted(view.missing_count, job_type)
        )
    return said


def headline(view: View, words: Texts) -> str:
    """The state in words."""
    if view.stage == "running":
        return words.for_type("state.running", view.status.type)
    parts = 0 if view.delivery is None else len(view.delivery.downloads)
    if view.stage == "ready" and parts > 1:
        return words.say("state.ready_in_parts", count=words.number(parts))
    return words.say(f"state.{view.stage}")


def status_json(view: View) -> bytes:
    """The body of status.json (docs/customer-page.md): for anybody who has the link, so public words only."""
    words = texts(view.language)
    counts, status = view.status.counts, view.status
    body = {
        "version": 1,
        "title": view.title,
        "language": view.language,
        "state": "expired" if view.stage == "expired" else str(status.state),
        "generation": status.generation,
        "message": headline(view, words),
        "stalled": view.stalled,
        "counts": {"total": counts.total, "done": counts.done, "missing": view.missing_count},
        "percent": view.percent if counts.total else None,
        "eta_seconds": None if view.eta_seconds is None else round(view.eta_seconds),
        "resume_at": _iso(status.resume_at) if view.stage == "paused" else None,
        "expires_at": _iso(view.expires_at),
        "shape": view.shape,
        "live": live(view, words),
    }
    return json.dumps(body, ensure_ascii=False).encode(errors="replace")


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
