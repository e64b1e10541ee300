"""The customer's page in Chromium: every state, on a desk and on a phone, without the script and in the dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from batchlab.status import Counts, State
from tests.browser.conftest import Site
from tests.customer_jobs import HOSTILE, STATES, end, new_job, run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

DESK: dict[str, Any] = {"viewport": {"width": 1100, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}}
VARIANTS: dict[str, dict[str, Any]] = {
    "desk": DESK,
    "phone": PHONE,
    "without-script": {**PHONE, "java_script_enabled": False},
    "dark": {**PHONE, "color_scheme": "dark"},
}


@contextmanager
def opened(chromium: Browser, address: str, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """The page at `address`, and what Chromium had to say of it."""
    context = chromium.new_context(timezone_id="Europe/Berlin", **options)
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
    page.goto(address)
    yield page, said
    context.close()


def violations(page: Page, *, but: tuple[str, ...] = ()) -> list[str]:
    """What axe finds wrong with the page."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"rules": {rule: {"enabled": False} for rule in but}})
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found.response["violations"]]


def violations_without_script(chromium: Browser, page: Page) -> list[str]:
    """The same of a page as it is read without the script: axe itself is one, so it looks at that text elsewhere."""
    text = page.content()
    bare = re.sub(r"<script>.*?</script>|</?noscript>", "", text, flags=re.DOTALL)
    context = chromium.new_context(**PHONE)
    other = context.new_page()
    other.route("**/*", lambda route: route.fulfill(body=bare, content_type="text/html; charset=utf-8"))
    other.goto(page.url)
    # A page that changes has no other way to show it without a script; axe's rule knows no exception.
    found = violations(other, but=("meta-refresh",))
    context.close()
    return found


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("state", STATES)
def test_every_state_is_readable_by_everybody(
    site: Site, chromium: Browser, state: str, variant: str
) -> None:
    address = site.publish(STATES[state](site.store))
    with opened(chromium, address, **VARIANTS[variant]) as (page, said):
        if variant == "without-script":
            assert violations_without_script(chromium, page) == []
        else:
            assert violations(page) == []
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wider) <= 0, "it has to be scrolled sideways"
        complaints = [each for each in said if "410 (Gone)" not in each]
        assert complaints == []
        assert "undefined" not in page.inner_text("body") and "None" not in page.inner_text("body")
    assert {path.split("/")[1] for path in site.asked} <= {"s"}, "something else was loaded"


def test_hostile_names_and_titles_stay_text(site: Site, chromium: Browser) -> None:
    with opened(chromium, site.publish(STATES["hostile"](site.store)), **PHONE) as (page, said):
        assert page.locator("h1").inner_text().startswith('</title></h1><script>alert("1")</script>WWW')
        names = page.locator(".missing bdi").all_inner_texts()
        # The characters that turn the order of letters around are gone; all others are there.
        shown = [name.translate(dict.fromkeys((0x202E, 0x2066))) for name in HOSTILE]
        assert [name for name in names if "🏴" not in name] == [name for name in shown if "🏴" not in name]
        assert page.locator("script").count() == 1 and page.locator("img").count() == 0
        assert said == []


def test_the_policy_holds_back_whatever_would_still_get_in(site: Site, chromium: Browser) -> None:
    address = site.publish(STATES["succeeded"](site.store))
    with opened(chromium, address) as (page, _):
        page.evaluate("""() => {
            const script = document.createElement("script");
            script.textContent = "window.hurt = true";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", '<img src="/pixel.png"><p style="color: red">x</p>');
        }""")
        page.wait_for_timeout(300)  # that nothing happens cannot be awaited
        assert page.evaluate("window.hurt") is None
        assert (
            page.evaluate("getComputedStyle(document.querySelector('p:last-child')).color")
            != "rgb(255, 0, 0)"
        )
    assert "/pixel.png" not in site.asked


def test_expiry_is_told_in_the_readers_own_time(site: Site, chromium: Browser) -> None:
    records = new_job(site.store, language="de")
    end(records)
    address = site.publish(records)
    with opened(chromium, address, locale="de-AT") as (page, _):
        local = page.locator("time").inner_text()
    with opened(chromium, address, java_script_enabled=False) as (page, _):
        plain = page.locator("time").inner_text()
        assert page.locator("time").get_attribute("datetime") is not None
    assert "MEZ" in local or "MESZ" in local or "GMT+" in local
    assert plain.endswith("UTC") and plain[0].isdigit() and ". " in plain


def test_the_page_follows_the_job_to_its_end_by_itself(site: Site, chromium: Browser) -> None:
    records = new_job(site.store)
    run(records, share=0.1)
    with opened(chromium, site.publish(records)) as (page, said):
        assert page.get_by_role("progressbar", name="Progress").get_attribute("value") == "10"
        page.evaluate("window.here = true")
        run(records, share=0.5)
        site.publish(records)
        page.get_by_text("2,495 of 5,000 photos").wait_for(timeout=20_000)
        assert page.locator("progress").evaluate("bar => bar.value") == 50
        assert page.evaluate("window.here") is True, "figures change without loading the page again"
        end(records)
        site.publish(records)
        page.get_by_text("Ready to download").wait_for(timeout=20_000)
        assert page.get_by_role("link", name="Download").get_attribute("href")
        assert said == []


def test_without_the_script_the_page_looks_again_by_itself(site: Site, chromium: Browser) -> None:
    records = new_job(site.store)
    run(records)
    with opened(chromium, site.publish(records), java_script_enabled=False) as (page, _):
        end(records)
        site.publish(records)
        page.get_by_text("Ready to download").wait_for(timeout=30_000)


def test_a_page_that_nobody_sees_does_not_ask(site: Site, chromium: Browser) -> None:
    records = new_job(site.store)
    run(records, counts=Counts(total=10))
    script = (
        "Object.defineProperty(document, 'hidden', {get: () => window.away === true, configurable: true})"
    )
    context = chromium.new_context()
    context.add_init_script(script)
    page = context.new_page()
    page.clock.install()
    page.goto(site.publish(records))
    page.evaluate("window.away = true; document.dispatchEvent(new Event('visibilitychange'))")
    site.asked.clear()
    page.clock.run_for(60_000)
    assert site.asked == []
    with page.expect_response("**/status.json"):
        page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    context.close()


def test_a_link_that_has_expired_says_so_in_the_language_of_the_job(site: Site, chromium: Browser) -> None:
    records = new_job(site.store, language="de")
    end(records, State.SUCCEEDED, ago=timedelta(0))
    address = site.publish(records)
    site.later = timedelta(days=7)
    with opened(chromium, address.replace("/s/", "/d/"), **PHONE) as (page, _):
        assert page.locator(".state").inner_text() == "Nicht mehr verfügbar"
        assert violations(page) == []


def test_an_address_with_nothing_behind_it_is_a_page_too(site: Site, chromium: Browser) -> None:
    with opened(chromium, f"{site.address}/s/nobody", **PHONE) as (page, _):
        assert page.locator("h1").inner_text() == "Nothing here"
        assert violations(page) == []
