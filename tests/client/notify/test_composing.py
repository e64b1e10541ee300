"""What e-mails say: read against golden files, in both languages, and never a promise of what is not there."""

from __future__ import annotations

import os
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from batchlab.notify.composing import LISTED, compose
from batchlab.notify.end import End, read_end
from batchlab.notify.failures import Later, Never
from batchlab.notify.mail import Mail
from batchlab.settings import Settings
from batchlab.status import State
from batchlab.targets import Event
from tests.client.notify.ended_jobs import NOON, Clocked, ended

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = Settings(
    mail_from="photos@shop.example", public_base_url="https://shop.example", contact="help@shop.example"
)
NAMES = {f"p{number}": f"Feier/IMG_{number:04}.jpg" for number in range(14)}
KINDS = ["missing", "corrupt", "network", "too_large", "auth", "timeout", "changed", "crash", "expired_url"]
LOST = {key: KINDS[number % len(KINDS)] for number, key in enumerate(NAMES)}

STORIES: dict[str, dict[str, object]] = {
    "ready": {"photos": 1234},
    "ready-in-volumes": {"photos": 5000, "artifacts": 3},
    "ready-incomplete": {"photos": 482, "missing": LOST, "names": NAMES},
    "ready-one-missing": {"photos": 2, "missing": {"p0": "missing"}, "names": NAMES},
    "failed": {"photos": 3, "state": State.FAILED, "artifacts": 0},
    "failed-all-missing": {
        "photos": 3, "missing": dict.fromkeys(["p0", "p1", "p2"], "auth"), "names": NAMES, "artifacts": 0
    },
    "cancelled": {"photos": 3, "state": State.CANCELLED, "artifacts": 0},
    "done": {"type": "csv-import", "photos": 12, "artifacts": 0},
    "done-incomplete": {
        "type": "csv-import", "photos": 12, "artifacts": 0, "missing": {"rows 501 to 1000": "database"}
    },
    "expired": {"photos": 3},
}  # fmt: skip


def an_end(event: Event | None = None, settings: Settings = SETTINGS, **job: object) -> End:
    records = ended(Clocked(), [], **job)  # type: ignore[arg-type]
    records.store.put(f"{records.folder}/page.json", {"token": "K7dPq0sVbQ2mWcXyZrT1aA"})
    status = records.status()
    if event == "expired":
        status = records.save_status(status.model_copy(update={"state": State.EXPIRED}))
    return read_end(records, records.document(), status, event or str(status.state), settings)  # type: ignore[arg-type]


def mail(end: End, settings: Settings = SETTINGS) -> Mail:
    return compose(end, "ana@example.com", "msg_1", settings, NOON)


def story(name: str, language: str) -> Mail:
    event: Event | None = "expired" if name == "expired" else None
    return mail(an_end(event, language=language, **STORIES[name]))


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", STORIES)
def test_the_text_is_the_one_that_somebody_has_read(name: str, language: str) -> None:
    """BATCHLAB_TEST_GOLDEN=write writes them anew, to be read again."""
    made = story(name, language)
    said = f"Subject: {made.subject}\n\n{made.text}"
    file = GOLDEN / f"{name}.{language}.txt"
    if os.environ.get("BATCHLAB_TEST_GOLDEN") == "write":
        file.write_text(said, encoding="utf-8")
    assert said == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", STORIES)
def test_html_and_text_say_the_same(name: str, language: str) -> None:
    made = story(name, language)
    page = _Read(made.html)
    links = [line for line in made.text.splitlines() if line.startswith("https://")]
    assert page.links == [*links, "mailto:help@shop.example"]
    words = [
        word for line in made.text.splitlines() if not line.startswith("https://") for word in line.split()
    ]
    assert {word.strip("-:.") for word in words} - set(page.words) - {""} == set()
    assert page.language == language


@pytest.mark.parametrize("name", STORIES)
def test_nothing_in_a_mail_shows_the_network_inside(name: str) -> None:
    made = story(name, "en")
    for leak in ("photos.example", "internal.example", "s3://", "Traceback", "token=", "404"):
        assert leak not in made.text + made.html + made.subject


def test_a_mail_fetches_nothing_when_it_is_opened() -> None:
    for name in STORIES:
        page = story(name, "en").html.lower()
        assert not any(tag in page for tag in ("<img", "<script", "<link", "url(", "<iframe", "src="))


def test_at_most_ten_are_named_and_the_others_counted() -> None:
    text = story("ready-incomplete", "en").text
    assert text.count("\n- Feier/") == LISTED == 10
    assert "14 photos are missing:" in text and "and 4 more" in text


def test_the_language_is_the_documents_else_that_of_the_settings() -> None:
    german = Settings(**{**_known(), "language": "de"})
    assert mail(an_end(), german).subject.startswith("Ihre Fotos sind fertig")
    assert mail(an_end(language="en"), german).subject.startswith("Your photos are ready")


def test_every_try_composes_the_same_mail() -> None:
    end = an_end(missing={"p0": "missing"})
    assert mail(end) == compose(end, "ana@example.com", "msg_1", SETTINGS, NOON + timedelta(hours=2))


def test_whom_to_ask_may_be_a_page_and_may_be_nobody() -> None:
    page = Settings(**{**_known(), "contact": "https://shop.example/help"})
    made = mail(an_end(), page)
    assert "Ask here: https://shop.example/help" in made.text
    assert _Read(made.html).links[-1] == "https://shop.example/help"
    assert "Questions" not in mail(an_end(), Settings(**{**_known(), "contact": ""})).text


# -- never a promise of what is not there --------------------------------------------------------------------


def test_no_mail_announces_a_zip_that_does_not_exist() -> None:
    for state in ("succeeded", "partial"):
        end = an_end(artifacts=0, missing={"p0": "missing"} if state == "partial" else {})
        broken = End(state, end.document, end.status, end.report, end.page)  # type: ignore[arg-type]
        with pytest.raises(Never, match="Nothing was delivered"):
            mail(broken)
        with pytest.raises(Never, match="Nothing was delivered"):
            mail(End(state, end.document, end.status, None, end.page))  # type: ignore[arg-type]


def test_no_mail_announces_what_has_expired() -> None:
    end = an_end(expires=timedelta(hours=1))
    compose(end, "ana@example.com", "msg_1", SETTINGS, NOON + timedelta(minutes=59))
    with pytest.raises(Never, match="expired"):
        compose(end, "ana@example.com", "msg_1", SETTINGS, NOON + timedelta(hours=1))


def test_without_a_page_to_link_to_a_mail_waits_for_the_setting() -> None:
    bare = Settings(mail_from="photos@shop.example")
    with pytest.raises(Later, match="BATCHLAB_PUBLIC_BASE_URL"):
        mail(an_end(settings=bare), bare)
    assert "https://" not in mail(an_end(settings=bare, state=State.FAILED, artifacts=0), bare).text


def test_what_is_kept_for_ever_has_no_date() -> None:
    assert "until" not in mail(an_end(expires=None)).text


# -- titles and names from strangers -------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "Anna\u202egpj.exe",
    "\u2066\u2067x\u2069 \u200f\u061cmoc.live",
    "&amp; &lt;b&gt; \u0000".replace("\u0000", ""),
    "a\u00a0\u2003b\u00ad\ufeff\U000e0041c",
    "{missing} {0} %s $x",
    "x" * 200,
]


@pytest.mark.parametrize("title", HOSTILE, ids=ascii)
def test_a_hostile_title_stays_text(title: str) -> None:
    made = mail(an_end(title=title, missing={"p0": "missing"}, names={"p0": title}))
    page = _Read(made.html)
    assert page.tags <= {
        *("html", "head", "meta", "title", "style", "body", "div", "main", "h1", "p", "a", "ul", "li", "bdi")
    }
    assert len(page.links) == 3
    for text in (made.subject, made.text, made.html):
        assert not any(mark in text for mark in "\u202e\u2066\u2067\u2069\u200f\u061c\u00ad\ufeff\U000e0041")
    assert "\n" not in made.subject and len(made.subject) < 200


def test_names_in_persian_and_emoji_keep_their_joiners() -> None:
    for title in (
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f469\u200d\U0001f4bb",
        "Žaneta & Łukasz",
    ):
        assert title in mail(an_end(title=title)).subject


def test_a_name_of_many_lines_stays_on_one() -> None:
    name = "a\r\nBcc: eve@example.com\u2028b\x00" + "c" * 200
    text = mail(an_end(missing={"p0": "missing"}, names={"p0": name})).text
    [line] = [line for line in text.splitlines() if line.startswith("- a Bcc")]
    assert len(line) < 200


def _known() -> dict[str, str]:
    return {
        "mail_from": SETTINGS.mail_from,
        "public_base_url": SETTINGS.public_base_url,
        "contact": SETTINGS.contact,
    }


class _Read(HTMLParser):
    """What a reader sees of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.words: list[str] = []
        self.language = ""
        self._style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        known = dict(attributes)
        self._style = tag == "style"
        if tag == "html":
            self.language = known["lang"] or ""
        if "href" in known:
            self.links.append(known["href"] or "")
        assert not any(name.startswith("on") for name in known)

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, text: str) -> None:
        if not self._style:
            self.words += [word.strip("-:.") for word in text.split()]
