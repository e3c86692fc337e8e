"""`make try` in a browser: from the sample app to the person's activities."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from dev.sample_app.stack import sample_app
from dev.simulator import PASSWORD, Simulator
from dev.stack import Stack


@pytest.fixture
def address(stack: Stack, garmin: Simulator) -> Iterator[str]:
    with sample_app(stack, garmin.environment) as address:
        yield address


def test_a_person_connects_garmin_and_sees_their_activities(
    context: BrowserContext, address: str, garmin: Simulator
) -> None:
    username = "email-sample@example.com"
    page = context.new_page()
    page.goto(address)
    page.get_by_role("button", name="Connect Garmin").click()
    expect(page.get_by_role("heading", level=2)).to_contain_text("Sample App asks for access")
    page.get_by_label("Garmin e-mail address or username").fill(username)
    page.get_by_label("Garmin password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_label("Code")).to_be_visible(timeout=30_000)
    page.get_by_label("Code").fill(garmin.code(username))
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(f"{address}/*")
    expect(page.get_by_role("listitem")).to_have_count(10)
    forged = httpx.post(f"{address}/webhook", trust_env=False)
    assert forged.status_code == 400
