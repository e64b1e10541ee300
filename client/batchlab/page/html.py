"""The page as one HTML text: nothing from outside, no request but for status.json, and it works without the script."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from datetime import UTC, datetime
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import quote

from batchlab.page.live import headline, live
from batchlab.page.marks import Notice, mark
from batchlab.page.texts import Texts, texts
from batchlab.page.view import Stage, View

DOWNLOADS_SHOWN = 200
MISSING_OPEN = 12  # a longer list is folded
REFRESH_SECONDS = 10  # without the script; a running job writes its page as often
_MOMENT = "\ufffc"  # stands for what is no text, a time or a link, until the text around it is escaped
_JOINERS = "\u200c\u200d"  # names in Persian and emoji need them


def page(view: View, token: str) -> bytes:
    """The job's page."""
    words = texts(view.language)
    title = view.title or words.for_type("title", view.status.type)
    going_on = not view.status.ended
    attributes = (
        f' data-status="../s/{token}/status.json" data-shape="{escape(view.shape)}"' if going_on else ""
    )
    body = [_progress(view, words), _downloads(view, words, token), _missing(view, words)]
    return _frame(
        words,
        view.stage,
        title=title,
        state=headline(view, words),
        lead=_lead(view, words),
        body="".join(body),
        contact=view.contact,
        attributes=attributes,
        refresh=going_on,
    )


def gone(view: View) -> bytes:
    """What stands at the page and its links once they have expired."""
    words = texts(view.language)
    title = view.title or words.for_type("title", view.status.type)
    return _frame(
        words,
        "expired",
        title=title,
        state=words.say("state.expired"),
        lead=_expired(words, view.delivery.expires_at if view.delivery else view.expires_at),
        contact=view.contact,
    )


def notice(which: Notice, language: str, contact: str) -> bytes:
    """A page that tells of no job."""
    words = texts(language)
    state = words.say(f"state.{'server' if which == 'server' else 'not_found'}")
    return _frame(
        words, which, title=state, state="", lead=_text(words.say(f"lead.{which}")), contact=contact
    )


def policy() -> str:
    """The Content-Security-Policy of every page made here: its own style and script by their hashes, and nothing else.

    It stands in the page, so that a page keeps its own when a newer version serves it.
    """
    style, script = _asset("page.css"), _asset("page.js")
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'"
    )


def _frame(
    words: Texts,
    stage: Stage | Notice,
    *,
    title: str,
    state: str,
    lead: str,
    contact: str,
    body: str = "",
    attributes: str = "",
    refresh: bool = False,
) -> bytes:
    """`lead` and `body` are HTML, the rest is text."""
    tone, drawing = mark(stage)
    html = f"""<!doctype html>
<html lang="{words.language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<meta name="format-detection" content="telephone=no">
<title>{_text(title)}{_text(f" - {state}" if state else "")}</title>
<style>{_asset("page.css")}</style>
{f'<noscript><meta http-equiv="refresh" content="{REFRESH_SECONDS}"></noscript>' if refresh else ""}
</head>
<body>
<main class="{tone}"{attributes}>
{drawing}
<h1>{_name(title)}</h1>
{f'<p class="state">{_text(state)}</p>' if state else ""}
<p class="lead">{lead}</p>
{body}{_footer(words, contact)}
</main>
<script>{_asset("page.js")}</script>
</body>
</html>
"""
    return html.encode(errors="replace")


def _lead(view: View, words: Texts) -> str:
    key, at = view.stage, view.status.resume_at
    missing = words.counted(view.missing_count, view.status.type)
    if view.stage == "expired":
        return _expired(words, view.expires_at)
    if view.of_older and view.status.ended:
        return _text(words.say("download.older_failed"))
    if view.stage == "running" and view.stalled:
        return _text(words.say("lead.stalled"))
    return _with_moment(words.say(f"lead.{key}", missing=missing, moment=_MOMENT), at, words)


def _expired(words: Texts, at: datetime | None) -> str:
    if at is None:
        return _text(words.say("lead.expired_undated"))
    return _with_moment(words.say("lead.expired", moment=_MOMENT), at, words)


def _progress(view: View, words: Texts) -> str:
    counts = view.status.counts
    if view.stage not in ("running", "paused", "cancelling"):
        return ""
    said = {name: _text(text) for name, text in live(view, words).items()}
    value = f' value="{view.percent}"' if counts.total else ""
    return f"""<section>
<progress max="100"{value} aria-label="{_text(words.say("progress.label"))}"></progress>
<p class="figures"><strong data-live="counts">{said["counts"]}</strong>
<span class="eta" data-live="eta">{said["eta"]}</span></p>
<p class="note" data-live="size">{said["size"]}</p>
<p class="note" data-live="missing">{said["missing"]}</p>
</section>
"""


def _downloads(view: View, words: Texts, token: str) -> str:
    delivery = view.delivery
    if delivery is None:
        return ""
    older = ""
    if view.of_older and not view.status.ended:
        older = f'<p class="note">{_text(words.say("download.older"))}</p>\n'
    until = ""
    if delivery.expires_at is not None:
        text = words.say("download.until", moment=_MOMENT)
        until = f'<p class="note">{_with_moment(text, delivery.expires_at, words)}</p>\n'
    if len(delivery.downloads) == 1:
        label = words.say("download.again" if view.of_older else "download.button")
        size = _size(delivery.size_bytes, delivery.members, view, words)
        button = "button second" if view.of_older else "button"
        link = f'<a class="{button}" href="../d/{token}">{_text(label)}<span>{_text(size)}</span></a>\n'
        return f"<section>\n{older}{link}{until}</section>\n"
    lines = [
        f'<li><a href="../d/{token}/{download.number}"><b>{_name(download.name)}</b>'
        f"<span>{_text(_size(download.size_bytes, download.members, view, words))}</span></a></li>\n"
        for download in delivery.downloads[:DOWNLOADS_SHOWN]
    ]
    rest = len(delivery.downloads) - DOWNLOADS_SHOWN
    if rest > 0:
        more = words.say("download.more", count=words.number(rest))
        lines.append(f'<li><span class="rest">{_text(more)}</span></li>\n')
    total = _size(delivery.size_bytes, delivery.members, view, words)
    if delivery.members is not None:
        total = ". ".join((total, words.say("download.parts")))
    heading = _text(words.say("download.heading"))
    heading = f'<h2>{heading}</h2>\n<p class="note">{_text(total)}</p>\n'
    return f'<section>\n{heading}{older}<ul class="files">\n{"".join(lines)}</ul>\n{until}</section>\n'


def _size(size_bytes: int, members: int | None, view: View, words: Texts) -> str:
    size = words.size(size_bytes)
    return size if members is None else f"{size}, {words.counted(members, view.status.type)}"


def _missing(view: View, words: Texts) -> str:
    job_type = view.status.type
    if not view.missing and not view.not_started:
        return ""
    lines = [
        f'<li>{_name(name)}<span class="why">{_text(words.reason(kind))}</span></li>\n'
        for name, kind in view.missing
    ]
    rest = view.missing_count - view.not_started - len(view.missing)
    if rest > 0:
        more = words.say("missing.more", missing=words.counted(rest, job_type))
        lines.append(f'<li><span class="why">{_text(more)}</span></li>\n')
    if view.not_started:
        never = words.say("missing.not_started", missing=words.counted(view.not_started, job_type))
        lines.append(f'<li><span class="why">{_text(never)}</span></li>\n')
    heading = words.say("missing.heading", missing=words.counted(view.missing_count, job_type))
    unfolded = " open" if len(lines) <= MISSING_OPEN else ""
    return (
        f"<section>\n<details{unfolded}><summary>{_text(heading)}</summary>\n"
        f'<ul class="missing">\n{"".join(lines)}</ul></details>\n</section>\n'
    )


def _footer(words: Texts, contact: str) -> str:
    if not contact:
        return ""
    if contact.startswith("https://"):
        key, address, shown = "page.contact_link", contact, words.say("page.contact_word")
    else:
        key, address, shown = "page.contact", f"mailto:{quote(contact, safe='@+')}", contact
    link = f'<a href="{escape(address)}">{_text(shown)}</a>'
    return f"<footer><p>{_text(words.say(key, contact=_MOMENT)).replace(_MOMENT, link)}</p></footer>"


def _with_moment(text: str, at: datetime | None, words: Texts) -> str:
    if at is None:
        return _text(text)
    utc = at.astimezone(UTC)
    time = f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}">{_text(words.moment(utc))}</time>'
    return _text(text).replace(_MOMENT, time)


def _name(text: str) -> str:
    """A text of somebody else's: its direction of writing stays inside."""
    return f"<bdi>{_text(text)}</bdi>"


def _text(text: str) -> str:
    """`text` as text, without characters that would turn the order of others around."""
    kept = "".join(
        letter
        for letter in text
        if letter in _JOINERS or unicodedata.category(letter) not in ("Cc", "Cf", "Cs")
    )
    return escape(kept)


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
