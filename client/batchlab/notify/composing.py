"""Which e-mail an end deserves, and what stands in it: never a promise of something that is not there."""

from __future__ import annotations

from datetime import datetime

from batchlab.jobs import params_model
from batchlab.notify.end import End
from batchlab.notify.failures import Later, Never
from batchlab.notify.letter import Letter, Missing, html, text
from batchlab.notify.mail import Mail
from batchlab.notify.safe import safe_line
from batchlab.notify.words import Words, words
from batchlab.settings import Settings
from batchlab.status import State

LISTED = 10  # missing items by name; the page has more
_TITLE = 200  # characters, as documents allow
_SUBJECT_TITLE = 80  # of the title in a subject: more is cut by every mailbox
_NAME = 100


def compose(end: End, to: str, message_id: str, settings: Settings, now: datetime) -> Mail:
    """The e-mail that tells `to` of `end`. Raises Never when there is nothing true to be told (any more)."""
    if not settings.mail_from:
        raise Later("No e-mail is sent from here. Set BATCHLAB_MAIL_FROM to the sender's address.")
    letter = write(end, words(end.document.language or settings.language), settings.contact, now)
    title = safe_line(end.document.title, _SUBJECT_TITLE)
    subject = f"{letter.heading}: {title}" if title else letter.heading
    return Mail(settings.mail_from, to, subject, text(letter), html(letter), message_id)


def write(end: End, its: Words, contact: str, now: datetime) -> Letter:
    """The letter. Raises Never."""
    story = _story(end, now)
    job_type = end.document.type
    return Letter(
        language=its.language,
        heading=its.say(f"heading.{story}", things=its.things(job_type)),
        title=safe_line(end.document.title, _TITLE),
        lead=_lead(end, story, its),
        links=_links(end, story, its),
        until=_until(end, story, its),
        missing=_missing(end, story, its),
        contact=_contact(contact, its),
        contact_at=(contact, f"mailto:{contact}" if "@" in contact else contact) if contact else None,
        why=its.say("closing.why"),
    )


def _story(end: End, now: datetime) -> str:
    """Which of the letters it is."""
    if end.state is State.EXPIRED:
        return "expired"
    if end.state not in (State.SUCCEEDED, State.PARTIAL):
        return str(end.state)
    part = "" if end.state is State.SUCCEEDED else "_incomplete"
    if end.over(now):
        raise Never("What it tells of has expired meanwhile.")
    if not end.delivered:
        if getattr(params_model(end.document.type), "delivers", False):
            raise Never("Nothing was delivered, so there is nothing to announce.")
        return f"done{part}"
    if end.page is None:
        raise Later("There is no page to link to. Set BATCHLAB_PUBLIC_BASE_URL.")
    return f"ready{part}"


def _lead(end: End, story: str, its: Words) -> str:
    counts, job_type, say = end.counts, end.document.type, its.texts
    if story == "expired":
        if end.expires_at is None:
            return its.say("lead.expired_undated")
        return its.say("lead.expired", moment=say.moment(end.expires_at))
    key = f"lead.{story}"
    if story.startswith("ready"):
        key += "_in_one" if end.delivered == 1 else "_in_many"
    return its.say(
        key,
        done=say.number(counts.done),
        done_things=say.counted(counts.done, job_type),
        all=say.number(counts.total),
        all_things=say.counted(counts.total, job_type),
        files=say.counted(end.delivered, "file"),
        size=say.size(end.size_bytes),
    )


def _links(end: End, story: str, its: Words) -> tuple[tuple[str, str], ...]:
    if end.page is None or story == "expired":
        return ()
    if not story.startswith("ready"):
        return ((its.say("link.page_only"), end.page),)
    page = (its.say("link.page"), end.page)
    return (page, (its.say("link.download"), end.download)) if end.download else (page,)


def _until(end: End, story: str, its: Words) -> str:
    if not story.startswith("ready") or end.expires_at is None:
        return ""
    return its.say("link.until", moment=its.texts.moment(end.expires_at))


def _missing(end: End, story: str, its: Words) -> Missing | None:
    """What is missing, by name; not after a cancellation, when nearly all is."""
    counts, report = end.counts, end.report
    number = counts.total - counts.done
    if report is None or number <= 0 or not (story.endswith("_incomplete") or story == "failed"):
        return None
    items = tuple(
        (safe_line(end.names.get(failure.key, failure.key), _NAME), its.texts.reason(failure.kind))
        for failure in report.failures[:LISTED]
    )
    rest = number - len(items)
    return Missing(
        its.say(
            f"missing.{'one' if number == 1 else 'many'}", missing=its.texts.counted(number, report.type)
        ),
        items,
        its.say("missing.more", count=its.texts.number(rest)) if rest and items else "",
    )


def _contact(contact: str, its: Words) -> str:
    if not contact:
        return ""
    return its.say("closing.contact" if "@" in contact else "closing.contact_link", contact=contact)
