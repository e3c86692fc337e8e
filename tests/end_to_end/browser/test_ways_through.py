"""Every way through the connect page that ends well, and each refusal by Garmin."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.end_to_end.browser.person import Person

ANNA = "plain-anna@example.com"


def test_a_password_connects(person: Person) -> None:
    person.opens()
    person.reads("Morning Runs asks for access to your Garmin account")
    person.reads("Your password is used once to sign in to Garmin, and is not kept.")
    person.signs_in(ANNA)
    person.is_at("connected")
    expect(person.element("[data-for=connected] h2")).to_be_focused()
    assert person.status() == "connected"


@pytest.mark.parametrize("way", ["email", "sms", "app", "nomfainfo"])
def test_a_code_connects_wherever_it_was_sent(person: Person, way: str) -> None:
    username = f"{way}-{way}@example.com"
    person.opens()
    person.signs_in(username)
    person.is_at("code")
    assert person.status() == "code_required"
    expect(person.element("#code")).to_be_focused()
    person.enters(person.gets_code(username))
    person.is_at("connected")


@pytest.mark.parametrize(
    "pasted",
    [
        lambda code: "".join(chr(ord(digit) + 0xFEE0) for digit in code),  # full width
        lambda code: f" {code[:3]} {code[3:]} \u200b",
        lambda code: f"{code[:3]}-{code[3:]}",
    ],
)
def test_a_code_may_be_pasted_as_it_comes(person: Person, pasted: Callable[[str], str]) -> None:
    username = "email-paste@example.com"
    person.opens()
    person.signs_in(username)
    person.enters(pasted(person.gets_code(username)))
    person.is_at("connected")


def test_a_wrong_password_is_typed_again_beside_the_same_name(person: Person) -> None:
    person.opens()
    person.signs_in(ANNA, "wrong")
    person.is_told("password", "invalid_credentials")
    expect(person.element("#username")).to_have_value(ANNA)
    expect(person.element("#password")).to_have_value("")
    expect(person.element("#password")).to_be_focused()
    assert person.status() == "failed"
    person.signs_in(ANNA)
    person.is_at("connected")


def test_a_wrong_code_costs_one_try_and_nothing_else(person: Person) -> None:
    username = "email-slip@example.com"
    person.opens()
    person.signs_in(username)
    code = person.gets_code(username)
    tries = person.element("[data-attempts]")
    before = int(tries.inner_text())
    person.enters("000000" if code != "000000" else "111111")
    person.is_told("code", "mfa_code_invalid")
    expect(tries).to_have_text(str(before - 1))
    expect(person.element("#code")).to_be_focused()
    person.enters(code)
    person.is_at("connected")


def test_after_the_last_wrong_code_the_person_begins_again(person: Person) -> None:
    username = "wrongcode-email@example.com"
    person.opens()
    person.signs_in(username)
    person.is_at("code")
    left = int(person.element("[data-attempts]").inner_text())
    for used in range(1, left):
        person.enters("123456")
        expect(person.element("[data-attempts]")).to_have_text(str(left - used))
        person.is_told("code", "mfa_code_invalid")
    person.enters("123456")
    person.is_at("start")
    person.is_told("start", "mfa_attempts_exhausted")
    expect(person.element("#username")).to_have_value(username)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("locked", "account_locked"),
        ("captcha", "captcha_required"),
        ("consent", "garmin_action_required"),
        ("http427", "garmin_rate_limited"),
        ("down", "garmin_unavailable"),
    ],
)
def test_what_garmin_refuses_is_said_and_what_to_do(person: Person, word: str, code: str) -> None:
    person.opens()
    person.signs_in(f"{word}-ada@example.com")
    person.is_at("start")
    error = person.is_told("start", code)
    at_garmin = code in ("account_locked", "captcha_required", "garmin_action_required")
    assert error.get_by_role("link").count() == at_garmin
    assert person.status() == "failed"


def test_a_wait_is_shown_and_counted_down(person: Person) -> None:
    person.garmin.configure(
        refuse={
            flow: {"status": 429, "retry_after": 600} for flow in ("mobile", "portal", "widget")
        }
    )
    person.opens()
    person.signs_in(ANNA)
    person.is_told("start", "garmin_rate_limited")
    first = person.element("[data-time=time]").inner_text()
    assert "minutes" in first
    expect(person.element("[data-time=time]")).not_to_have_text(first)


def test_while_every_driver_rests_nothing_is_sent(person: Person) -> None:
    person.garmin.configure(refuse={"mobile": {"status": 403}, "widget": {"status": 403}})
    person.opens()
    person.signs_in(ANNA)
    person.is_told("start", "garmin_rate_limited")
    posts = person.garmin.count("credential_posts")
    person.opens()
    person.signs_in("plain-berta@example.com")
    person.is_told("start", "garmin_rate_limited")
    assert person.garmin.count("credential_posts") == posts


def test_a_form_that_is_not_filled_in_says_what_is_missing(person: Person) -> None:
    person.opens()
    person.presses("Connect")
    expect(person.element("#username-error")).to_be_visible()
    expect(person.element("#username")).to_be_focused()
    expect(person.element("#username")).to_have_attribute("aria-invalid", "true")
    person.element("#username").fill(ANNA)
    person.presses("Connect")
    expect(person.element("#password-error")).to_be_visible()


def test_cancelling_ends_the_session(person: Person) -> None:
    person.opens()
    person.presses("Cancel")
    person.is_at("cancelled")
    assert person.status() == "cancelled"


def test_it_works_with_the_keyboard_alone(person: Person) -> None:
    username = "email-keys@example.com"
    person.opens(methods=["password"])
    keyboard = person.page.keyboard  # type: ignore[union-attr]
    expected = ("username", "password", "show-password")
    for name in expected:
        keyboard.press("Tab")
        expect(person.element(f"#{name}")).to_be_focused()
        if name == "username":
            keyboard.type(username)
        elif name == "password":
            keyboard.type("correct horse battery staple")
    keyboard.press("Tab")
    keyboard.press("Enter")
    keyboard.type(person.gets_code(username))
    keyboard.press("Enter")
    person.is_at("connected")
