"""The connect page in a popup and in a frame of an app's page, which has another origin."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from dev.stack import Stack
from tests.end_to_end.browser.person import App, Person
from tests.end_to_end.browser.watch import Watch

ANNA = "plain-anna@example.com"
PAGE = """<!doctype html><title>The app</title><script src="{service}/connect.js"></script>
<button>Connect</button><div id="place"></div>"""
OPEN = """([url, framed]) => {
  window.events = [];
  document.querySelector("button").onclick = async () => {
    const container = framed ? document.getElementById("place") : undefined;
    const onEvent = (event) => window.events.push(event);
    window.result = await FitTrackConnect.open({ url, onEvent, container });
  };
}"""


@pytest.fixture
def origin(stack: Stack) -> Iterator[str]:
    """The app's own page, with a button."""

    class AppPage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.format(service=stack.url).encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), AppPage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def app(stack: Stack, origin: str) -> App:
    return App.add(stack, origin)


def app_page(person: Person, origin: str, *, framed: bool) -> Page:
    page = person.page
    assert isinstance(page, Page)
    page.goto(origin)
    page.evaluate(OPEN, [person.url, framed])
    return page


def events(page: Page) -> list[str]:
    page.wait_for_function("window.result")
    heard: list[dict[str, Any]] = page.evaluate("window.events")
    return [event["event"] for event in heard]


def test_a_popup_tells_the_apps_page_and_closes(
    person: Person, origin: str, context: BrowserContext
) -> None:
    person.gets_link(embed_origin=origin)
    page = app_page(person, origin, framed=False)
    with context.expect_page() as opened:
        page.get_by_role("button").click()
    popup = Person(opened.value, person.app, person.garmin, person.watch, person.session_id)
    popup.is_at("start")
    popup.signs_in(ANNA)
    assert events(page) == ["ready", "step", "step", "connected"]
    result = {"status": "connected", "session": person.session_id}
    assert page.evaluate("window.result") == result
    if not opened.value.is_closed():
        opened.value.wait_for_event("close")
    assert person.status() == "connected"


def test_a_popup_that_is_closed_is_told_as_closed(
    person: Person, origin: str, context: BrowserContext
) -> None:
    person.gets_link(embed_origin=origin)
    page = app_page(person, origin, framed=False)
    with context.expect_page() as opened:
        page.get_by_role("button").click()
    opened.value.wait_for_selector("#username")
    opened.value.close()
    assert events(page)[-1] == "closed"
    assert person.status() == "open"


def test_a_frame_tells_the_apps_page_and_goes(person: Person, origin: str) -> None:
    username = "email-frame@example.com"
    person.gets_link(embed_origin=origin)
    page = app_page(person, origin, framed=True)
    page.get_by_role("button").click()
    page.wait_for_selector("iframe")
    frame = page.frames[-1]
    inside = Person(frame, person.app, person.garmin, person.watch, person.session_id)
    inside.is_at("start")
    inside.signs_in(username)
    inside.enters(inside.gets_code(username))
    assert events(page)[-1] == "connected"
    expect(page.locator("iframe")).to_have_count(0)
    told = str(page.evaluate("window.events"))
    assert username not in told
    assert [secret for secret in person.secrets if secret in told] == []


def test_no_other_origin_may_embed_the_page(person: Person, origin: str) -> None:
    person.gets_link(embed_origin=origin)
    page = app_page(person, origin.replace("127.0.0.1", "localhost"), framed=True)
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.get_by_role("button").click()
    person.watch.faults.clear()  # the browser's word for it, which was waited for


def test_without_an_origin_nobody_may_embed_the_page(person: Person, origin: str) -> None:
    person.gets_link()
    page = app_page(person, origin, framed=True)
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.get_by_role("button").click()
    person.watch.faults.clear()


def test_a_page_that_listens_uninvited_hears_nothing(
    person: Person, origin: str, context: BrowserContext
) -> None:
    """A page of another origin that opened the link itself."""
    person.gets_link(embed_origin=origin)
    page = app_page(person, origin.replace("127.0.0.1", "localhost"), framed=False)
    page.evaluate("window.heard = []; addEventListener('message', (m) => heard.push(m.data))")
    with context.expect_page() as opened:
        page.get_by_role("button").click()
    popup = Person(opened.value, person.app, person.garmin, person.watch, person.session_id)
    popup.is_at("start")
    popup.signs_in(ANNA)
    popup.is_at("connected")
    assert page.evaluate("window.heard") == []
    faults: Watch = person.watch
    faults.faults[:] = [fault for fault in faults.faults if "postMessage" not in fault]
