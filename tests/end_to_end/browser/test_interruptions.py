"""Reloading, going back, a second tab, a lost network, an old link: nothing is lost by them."""

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.end_to_end.browser.person import Person

SEEN_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"
"""What a tab hears when the person comes back to it: without a window, all of them are seen."""

ANNA, BOB = "plain-anna@example.com", "email-bob@example.com"


def page_of(person: Person) -> Page:
    assert isinstance(person.page, Page)
    return person.page


def test_a_reload_goes_on_at_every_step(person: Person) -> None:
    page = page_of(person)
    person.garmin.configure(latency_ms=300)
    person.opens()
    page.reload()
    person.is_at("start")
    person.signs_in(BOB)
    person.is_at("progress")
    page.reload()
    code = person.gets_code(BOB)
    page.reload()
    person.is_at("code")
    person.enters(code)
    person.is_at("progress")
    page.reload()
    person.is_at("connected")
    assert person.garmin.count("credential_posts", BOB) == 1
    assert person.garmin.count("codes_sent", BOB) == 1


def test_after_the_end_the_link_is_used_up(person: Person) -> None:
    page = page_of(person)
    person.opens()
    person.signs_in(ANNA)
    person.is_at("connected")
    page.reload()
    person.is_at("connected")
    page.goto(person.url)
    person.is_at("connected")  # it shows what has become of it, and takes nothing more
    expect(person.element("#password")).not_to_be_visible()


def test_going_back_and_forward_loses_nothing(person: Person) -> None:
    page = page_of(person)
    page.goto(f"{person.app.stack.url}/docs")
    person.opens()
    person.signs_in(BOB)
    code = person.gets_code(BOB)
    page.go_back()
    page.go_forward()
    person.is_at("code")
    person.enters(code)
    person.is_at("connected")


def test_two_tabs_do_no_harm(person: Person, context: BrowserContext) -> None:
    person.opens()
    first, second = page_of(person), context.new_page()
    second.goto(person.url)
    person.signs_in(BOB)
    code = person.gets_code(BOB)
    second.evaluate(SEEN_AGAIN)
    expect(second.locator("#connect")).to_have_attribute("data-step", "code")
    second.locator("#code").fill(code)
    second.get_by_role("button", name="Continue").click()
    expect(second.locator("#connect")).to_have_attribute("data-step", "connected")
    first.evaluate(SEEN_AGAIN)
    person.is_at("connected")
    assert person.garmin.count("credential_posts", BOB) == 1
    assert person.garmin.count("codes_checked", BOB) == 1


def test_a_lost_network_is_said_and_survived(person: Person, context: BrowserContext) -> None:
    person.garmin.configure(latency_ms=500)
    person.opens()
    person.signs_in(BOB)
    person.is_at("progress")
    context.set_offline(True)
    page_of(person).wait_for_timeout(500)
    context.set_offline(False)
    code = person.gets_code(BOB)
    context.set_offline(True)
    person.enters(code)
    expect(person.element("#offline")).to_be_visible()
    context.set_offline(False)
    expect(person.element("#offline")).not_to_be_visible()
    person.is_at("code")
    person.enters(code)
    person.is_at("connected")


def test_a_link_of_another_session_in_the_same_tab_is_opened(person: Person) -> None:
    person.opens()
    first = person.session_id
    person.opens()
    person.signs_in(ANNA)
    person.is_at("connected")
    assert person.session_id != first
    assert person.status() == "connected"
    assert person.app.session(first)["status"] == "open"


def test_a_broken_link_is_said_to_be_one(person: Person) -> None:
    page = page_of(person)
    person.gets_link()
    for url in (person.url[:-3], person.url.partition("#")[0]):
        page.goto("about:blank")
        page.goto(url)
        person.is_at("invalid")
    person.reads("This link does not work")


def test_the_person_is_led_back_to_the_app(person: Person) -> None:
    page = page_of(person)
    back: list[str] = []

    def answer(route: Route) -> None:
        back.append(route.request.url)
        route.fulfill(body="the app")

    page.context.route(re.compile(r"https://app\.example/.*"), answer)
    person.opens(return_url="https://app.example/settings?tab=garmin")
    person.signs_in(ANNA)
    page.wait_for_url("https://app.example/**")
    query = parse_qs(urlsplit(back[0]).query)
    assert query == {
        "tab": ["garmin"],
        "connect_session": [person.session_id],
        "status": ["connected"],
    }
    person.watch.faults.remove("request to app.example")
