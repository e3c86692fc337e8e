"""The connect page without a password, a code that is sent again, and a session that is too old."""

import base64
import json
from collections.abc import Callable

from playwright.sync_api import expect

from shared.connect.session import ConnectSession
from shared.connect.store import ConnectSessions
from shared.crypto.keyring import Keyring
from shared.redis.connection import connect
from tests.dev.wire import DI_CLIENT, wire
from tests.end_to_end.browser.person import Person
from tests.programs import TIMINGS

ANNA = "plain-anna@example.com"


def test_a_personal_api_key_comes_first_where_reading_is_enough(person: Person) -> None:
    key = person.garmin.make_key(ANNA)
    person.secrets.add(key)
    person.opens(methods=["personal_api_key", "password"])
    person.reads("Morning Runs will be able to read your Garmin data, not to change it.")
    person.check_accessibility("light")
    person.element("#key").fill(key)
    person.presses("Connect")
    person.is_at("connected")
    assert person.garmin.count("credential_posts") == 0


def test_a_dead_key_is_said_to_be_one_and_the_password_is_there(person: Person) -> None:
    key = person.garmin.make_key(ANNA)
    person.garmin.revoke_keys(ANNA)
    person.opens(methods=["personal_api_key", "password"])
    person.element("#key").fill(key)
    person.presses("Connect")
    error = person.element("#key-error")
    expect(error).to_be_visible(timeout=30_000)
    expect(person.element("#key")).to_be_focused()
    person.page.get_by_label("With your Garmin password").check()
    person.signs_in(ANNA)
    person.is_at("connected")


def test_tokens_of_garth_and_of_garminconnect_connect(person: Person) -> None:
    with wire(person.garmin) as browser:
        issued = browser.di_tokens(ANNA)
        oauth1 = browser.oauth1_token(browser.ticket("plain-berta@example.com"))
        oauth2 = browser.exchange(oauth1).json()
    tokens = (
        json.dumps(
            {
                "di_token": issued["access_token"],
                "di_refresh_token": issued["refresh_token"],
                "di_client_id": DI_CLIENT,
            }
        ),
        base64.b64encode(json.dumps([oauth1, oauth2]).encode()).decode(),
    )
    for text in tokens:
        person.opens(methods=["import"])
        person.element("#tokens").fill(text)
        person.presses("Connect")
        person.is_at("connected")


def test_what_are_no_tokens_is_said_beside_the_field(person: Person) -> None:
    person.opens(methods=["import"])
    person.check_accessibility("light")
    person.element("#tokens").fill("not tokens")
    person.presses("Connect")
    person.is_told("tokens", "tokens_unreadable")
    assert person.status() == "failed"


def test_a_session_that_is_too_old_says_so(person: Person) -> None:
    person.opens()
    change(
        person,
        lambda session: session.model_copy(update={"created_at": session.created_at - 900_000}),
    )
    person.signs_in(ANNA)
    person.is_at("expired")
    person.check_accessibility("light")
    assert person.status() == "expired"
    assert person.garmin.count("requests") == 0


def test_the_code_is_sent_again_where_garmin_can(person: Person) -> None:
    """In garminconnect's widget flow, a while after the first code."""
    username = "email-again@example.com"
    person.garmin.configure(
        refuse={
            "GCM_ANDROID_DARK": {"status": 403},
            "GCM_IOS_DARK": {"status": 429, "at": ["page"]},
        },
        resend_interval_s=0,
    )
    person.opens()
    person.signs_in(username)
    person.gets_code(username)
    expect(person.element("#resend-wait")).to_be_visible()
    person.presses("Send the code again", TIMINGS.resend_pause + 30)  # once it is offered
    person.is_at("code")
    expect(person.element("#resend-wait")).to_be_visible()
    assert person.garmin.count("codes_sent", username) == 2
    person.enters(person.gets_code(username))
    person.is_at("connected")


def change(person: Person, how: Callable[[ConnectSession], ConnectSession]) -> None:
    """Change what Redis has of the person's session: time passes."""
    settings = person.app.stack.settings
    keyring = Keyring.parse(settings["FITTRACK_ENCRYPTION_KEYS"])
    redis = connect(settings["FITTRACK_REDIS_URL"], timeout=5)
    sessions = ConnectSessions(redis, keyring)
    sessions.update(sessions.read(person.session_id), lambda kept: (how(kept.session), None))
    redis.close()
