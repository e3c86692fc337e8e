"""axe-core finds nothing at any step, narrow or wide, light or dark; every language fits."""

import pytest
from playwright.sync_api import Page, expect

from api.connect.languages import LANGUAGES
from tests.end_to_end.browser.person import Person

BOB = "email-bob@example.com"


def test_no_step_has_a_barrier(person: Person) -> None:
    person.opens(return_url="https://app.example/")
    person.check_accessibility()
    person.signs_in(BOB, "wrong")
    person.is_told("password", "invalid_credentials")
    person.check_accessibility()
    person.garmin.configure(latency_ms=1500)
    person.signs_in(BOB)
    person.is_at("progress")
    person.check_accessibility("light")
    person.garmin.configure(latency_ms=0)
    code = person.gets_code(BOB)
    person.check_accessibility()
    person.enters("000000" if code != "000000" else "111111")
    person.is_told("code", "mfa_code_invalid")
    person.check_accessibility()


@pytest.mark.parametrize("end", ["connected", "cancelled", "invalid"])
def test_no_end_has_a_barrier(person: Person, end: str) -> None:
    assert isinstance(person.page, Page)
    if end == "invalid":
        person.gets_link()
        person.page.goto(person.url.partition("#")[0])
    else:
        person.opens()
        person.presses("Cancel") if end == "cancelled" else person.signs_in(
            "plain-anna@example.com"
        )
    person.is_at(end)
    person.check_accessibility()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_fits_a_narrow_window_and_a_zoomed_one(
    person: Person, language: str
) -> None:
    assert isinstance(person.page, Page)
    person.opens(locale=language)
    expect(person.element("html")).to_have_attribute("lang", language)
    for width, height in ((320, 640), (320, 256)):  # the second: 1280 by 1024 at 400 %
        person.page.set_viewport_size({"width": width, "height": height})
        assert person.page.evaluate("document.documentElement.scrollWidth") <= width


def test_fields_say_what_they_are_to_password_managers_and_keyboards(person: Person) -> None:
    person.opens()
    for field, name, value in (
        ("username", "autocomplete", "username"),
        ("password", "autocomplete", "current-password"),
        ("code", "autocomplete", "one-time-code"),
        ("code", "inputmode", "numeric"),
    ):
        expect(person.element(f"#{field}")).to_have_attribute(name, value)


def test_whoever_wants_less_motion_gets_none(person: Person) -> None:
    assert isinstance(person.page, Page)
    person.page.emulate_media(reduced_motion="reduce")
    person.garmin.configure(latency_ms=500)
    person.opens()
    person.signs_in("plain-anna@example.com")
    person.is_at("progress")
    moving = "document.getAnimations().filter((a) => a.playState === 'running').length"
    assert person.page.evaluate(moving) == 0
    person.is_at("connected")
