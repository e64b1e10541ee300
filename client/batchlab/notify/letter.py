"""An e-mail's content apart from its form, and the two forms: plain text and HTML."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Missing:
    """What the reader does not get."""

    heading: str
    items: tuple[tuple[str, str], ...] = ()  # name and reason
    more: str = ""  # how many are not named


@dataclass(frozen=True)
class Letter:
    """What an e-mail says, top to bottom; "" and () leave a part out. Plain text throughout."""

    language: str
    heading: str
    title: str = ""  # the job's own, written by strangers
    lead: str = ""
    links: tuple[tuple[str, str], ...] = ()  # label and address; the first one is the button
    until: str = ""
    missing: Missing | None = None
    contact: str = ""
    contact_at: tuple[str, str] | None = None  # the part of `contact` that is a link, and where it leads
    why: str = ""  # why the reader got this


def text(letter: Letter) -> str:
    """The letter as plain text."""
    parts = [
        letter.heading,
        letter.title,
        letter.lead,
        *(f"{label}:\n{address}" for label, address in letter.links),
        letter.until,
        _missing_text(letter.missing) if letter.missing else "",
        letter.contact,
        f"-- \n{letter.why}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _missing_text(missing: Missing) -> str:
    lines = [missing.heading, *(f"- {name}: {reason}" for name, reason in missing.items), missing.more]
    return "\n".join(filter(None, lines))


_BODY = "margin:0;padding:0;background:#f4f4f1;color:#1c1c1a;"
_CARD = (
    "max-width:560px;margin:0 auto;background:#ffffff;padding:32px 28px;"
    "font:16px/1.5 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;overflow-wrap:anywhere;"
)
_BUTTON = (
    "display:inline-block;background:#1d4f91;color:#ffffff;padding:12px 22px;border-radius:6px;"
    "text-decoration:none;font-weight:600;"
)
# Mail programs drop style sheets, so styles stand at the elements; those that know the dark read this one.
_DARK = (
    "@media (prefers-color-scheme:dark){body,.page{background:#1b1b1a!important}"
    ".card{background:#262625!important;color:#f0f0ec!important}.quiet{color:#b9b9b2!important}"
    ".card a:not(.button){color:#9cc2f5!important}.button{background:#9cc2f5!important;color:#10233d!important}}"
)


def html(letter: Letter) -> str:
    """The letter as HTML: no picture, no script, nothing that is fetched; every text escaped."""
    blocks = [f'<h1 style="font-size:22px;line-height:1.3;margin:0 0 12px">{escape(letter.heading)}</h1>']
    if letter.title:
        blocks.append(f'<p style="margin:0 0 16px;font-size:17px"><bdi>{escape(letter.title)}</bdi></p>')
    if letter.lead:
        blocks.append(_paragraph(letter.lead))
    blocks += [_link(label, address, first=not at) for at, (label, address) in enumerate(letter.links)]
    if letter.until:
        blocks.append(_paragraph(letter.until))
    if letter.missing:
        blocks += _missing_html(letter.missing)
    if letter.contact:
        blocks.append(_contact(letter))
    blocks.append(
        f'<p class="quiet" style="margin:28px 0 0;font-size:13px;color:#5b5b55">{escape(letter.why)}</p>'
    )
    return (
        f'<!doctype html>\n<html lang="{letter.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(letter.heading)}</title><style>{_DARK}</style></head>\n"
        f'<body style="{_BODY}"><div class="page" style="padding:24px 12px;background:#f4f4f1">\n'
        f'<main class="card" style="{_CARD}">\n'
        + "\n".join(filter(None, blocks))
        + "\n</main></div></body></html>\n"
    )


def _missing_html(missing: Missing) -> list[str]:
    lines = [f"<li><bdi>{escape(name)}</bdi>: {escape(reason)}</li>" for name, reason in missing.items]
    lines += [f'<li style="list-style:none">{escape(missing.more)}</li>'] if missing.more else []
    heading = f'<p style="margin:24px 0 4px;font-weight:600">{escape(missing.heading)}</p>'
    return [heading, f'<ul style="margin:0 0 16px;padding-left:20px">{"".join(lines)}</ul>' if lines else ""]


def _contact(letter: Letter) -> str:
    paragraph = _paragraph(letter.contact)
    if letter.contact_at is None:
        return paragraph
    said, address = map(escape, letter.contact_at)
    return paragraph.replace(said, f'<a href="{address}" style="color:#1d4f91">{said}</a>')


def _paragraph(line: str) -> str:
    return f'<p style="margin:0 0 16px">{escape(line)}</p>'


def _link(label: str, address: str, *, first: bool) -> str:
    style = _BUTTON if first else "color:#1d4f91;"
    kind = ' class="button"' if first else ""
    return f'<p style="margin:0 0 16px"><a{kind} href="{escape(address)}" style="{style}">{escape(label)}</a></p>'
