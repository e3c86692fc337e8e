"""Chromium over the whole service and the simulated Garmin."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from dev.browser import NoBrowserError, chromium
from dev.simulator import Simulator
from dev.stack import Stack
from tests.end_to_end.browser.person import PATIENCE, App, Person
from tests.end_to_end.browser.watch import Watch


@pytest.fixture(scope="module")  # not longer: other tests of this process use asyncio
def browser() -> Iterator[Browser]:
    try:
        with chromium() as browser:
            yield browser
    except NoBrowserError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE)
    with context:
        yield context


@pytest.fixture
def app(stack: Stack) -> App:
    return App.add(stack, "http://127.0.0.1:9", "https://app.example")


@pytest.fixture
def person(context: BrowserContext, app: App, garmin: Simulator) -> Iterator[Person]:
    watch = Watch(context)
    person = Person(context.new_page(), app, garmin, watch)
    yield person
    person.leaves_nothing()
