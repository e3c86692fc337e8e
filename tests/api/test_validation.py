"""What a body may hold, to the character."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared.errors import JobErrorCode
from shared.garmin.types import Credentials
from shared.jobs.states import Failure
from tests.api.problems import assert_problem, faults
from tests.api.service import CODE, CREDENTIALS, LOGIN, Job, Service
from tests.api.wire import send_json

CANARY = "canary-that-must-not-come-back"
CONTROL = ["\0", "\n", "\r", "\t", "\x1b", "\x1c", "\x7f", "\x85", "\x9f"]
PASTED_WITH_A_CODE = {"\n", "\r", "\t"}
CONTROL_IN_FIELDS = [
    (path, field, character)
    for path, field in (
        (LOGIN, "username"),
        (LOGIN, "password"),
        (CODE, "challenge_id"),
        (CODE, "mfa_code"),
    )
    for character in CONTROL
    if field != "mfa_code" or character not in PASTED_WITH_A_CODE
]

INVISIBLE = [
    "\u00ad",
    "\u034f",
    "\u115f",
    "\u180e",
    "\u200b",
    "\u200d",
    "\u200e",
    "\u2028",
    "\u202e",
    "\u2060",
    "\u2800",
    "\u3164",
    "\ufe0f",
    "\ufeff",
    "\U00013430",
    "\U000e0041",
]


def login(service: Service, **changes: object) -> httpx.Response:
    return service.client.post(LOGIN, json=CREDENTIALS | changes)


def code(service: Service, mfa_code: object) -> httpx.Response:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    return service.client.post(CODE, json={"challenge_id": challenge_id, "mfa_code": mfa_code})


@pytest.mark.parametrize("username", ["abc", "x" * 254, "Ünï", "名前名", "🏃🏃🏃", "a b"])
def test_a_username_of_3_to_254_characters_is_accepted(service: Service, username: str) -> None:
    job = service.submit(CREDENTIALS | {"username": username})
    assert service.credentials_of(job).username.get_secret_value() == username


@pytest.mark.parametrize("username", ["", "ab", "x" * 255, "  ab  ", "   "])
def test_a_shorter_or_longer_username_is_refused(service: Service, username: str) -> None:
    assert faults(login(service, username=username)) == [["body", "username"]]


def test_spaces_around_a_username_are_removed(service: Service) -> None:
    job = service.submit(CREDENTIALS | {"username": "  runner@example.com\u00a0"})
    assert service.credentials_of(job).username.get_secret_value() == "runner@example.com"


@pytest.mark.parametrize("password", ["x", "x" * 256, " pass word ", "pässwörd🏃", "  "])
def test_a_password_of_1_to_256_characters_is_unchanged(service: Service, password: str) -> None:
    job = service.submit(CREDENTIALS | {"password": password})
    assert service.credentials_of(job).password.get_secret_value() == password


@pytest.mark.parametrize("password", ["", "x" * 257])
def test_a_shorter_or_longer_password_is_refused(service: Service, password: str) -> None:
    assert faults(login(service, password=password)) == [["body", "password"]]


@pytest.mark.parametrize("domain", ["garmin.com", "garmin.cn"])
def test_both_garmin_domains_are_accepted(service: Service, domain: str) -> None:
    assert login(service, domain=domain).status_code == 202


@pytest.mark.parametrize("domain", ["garmin.org", "GARMIN.COM", "", "evil.example/garmin.com"])
def test_another_domain_is_refused(service: Service, domain: str) -> None:
    assert faults(login(service, domain=domain)) == [["body", "domain"]]


@pytest.mark.parametrize(
    ("typed", "checked"),
    [
        ("1234", "1234"),
        ("1234567890", "1234567890"),
        ("aB3x", "aB3x"),
        ("123 456", "123456"),
        (" 123-456 ", "123456"),
        ("1 2 3 4 5 6 7 8 9 0", "1234567890"),
        ("123\u00a0456", "123456"),
        ("\uff11\uff12\uff13\uff14\uff15\uff16", "123456"),
        ("\r\n123456\r\n", "123456"),
        ("\t123\u200b456\ufeff", "123456"),
    ],
)
def test_a_code_of_4_to_10_letters_or_digits_is_accepted(
    service: Service, typed: str, checked: str
) -> None:
    reply = code(service, typed)
    assert reply.status_code == 202, reply.text
    job = Job(reply.json()["job_id"], reply.json()["poll_token"])
    assert service.code_of(job).code.get_secret_value() == checked


@pytest.mark.parametrize(
    "mfa_code",
    ["", "123", "12345678901", "1 2-3", "12.34", "12_34", "١٢٣٤", "1234é", "-" * 8, "1-" * 20],
)
def test_any_other_code_is_refused(service: Service, mfa_code: str) -> None:
    assert faults(code(service, mfa_code)) == [["body", "mfa_code"]]


@pytest.mark.parametrize("length", [1, 128])
def test_a_challenge_id_of_an_allowed_length_is_looked_up(service: Service, length: int) -> None:
    assert_problem(service.send_code("x" * length), 404, "challenge_not_found")


@pytest.mark.parametrize("length", [0, 129])
def test_a_challenge_id_of_another_length_is_refused(service: Service, length: int) -> None:
    assert faults(service.send_code("x" * length)) == [["body", "challenge_id"]]


@pytest.mark.parametrize("place", ["{}text", "te{}xt", "text{}"])
@pytest.mark.parametrize(("path", "field", "character"), CONTROL_IN_FIELDS)
def test_control_characters_are_refused_in_every_field(
    service: Service, path: str, field: str, place: str, character: str
) -> None:
    fine = CREDENTIALS if path == LOGIN else {"challenge_id": "x", "mfa_code": "123456"}
    reply = service.client.post(path, json=fine | {field: place.format(character)})
    assert faults(reply) == [["body", field]]


@pytest.mark.parametrize("character", INVISIBLE, ids=ascii)
@pytest.mark.parametrize("place", ["{}runner", "run{}ner", "runner{}"])
def test_names_with_invisible_characters_are_refused(
    service: Service, place: str, character: str
) -> None:
    """They would be other accounts for our limits, and for people the same."""
    name = place.format(character)
    assert faults(login(service, username=name)) == [["body", "username"]]
    headers = service.app_with_link("somebody")
    reply = service.client.post(LOGIN, json=CREDENTIALS | {"user_id": name}, headers=headers)
    assert faults(reply) == [["body", "user_id"]]


def test_a_password_may_hold_invisible_characters(service: Service) -> None:
    password = "".join(INVISIBLE)
    job = service.submit(CREDENTIALS | {"password": password})
    assert service.credentials_of(job).password.get_secret_value() == password


def test_spellings_of_one_name_are_one_account_and_garmin_gets_what_was_typed(
    service: Service,
) -> None:
    spellings = [
        "ÅSA@example.com",
        "åsa@example.com",
        "A\u030asa@example.com",
        "\uff21\u030asa@example.com",
    ]
    for spelling in spellings:
        job = service.submit(CREDENTIALS | {"username": spelling})
        claim = service.claim(job)
        credentials = service.jobs.open_input(claim, Credentials)
        assert credentials is not None
        assert credentials.username.get_secret_value() == spelling
        assert claim.origin.account == service.keyring.hash_name("garmin.com:åsa@example.com")
        service.jobs.end(claim, Failure(code=JobErrorCode.TIMED_OUT))


@pytest.mark.parametrize(
    "body",
    [b"\xff", b'{"username": "caf\xe9", "password": "x"}', b'"\xc0\x80"', b'"\xed\xa0\x80"'],
)
@pytest.mark.parametrize("path", [LOGIN, CODE])
def test_a_body_that_is_not_utf_8_is_refused(service: Service, path: str, body: bytes) -> None:
    assert faults(send_json(service.stack.port, path, body)) == [["body"]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"username": "abc" "password": "x"}',
        b"{'username': 'abc'}",
        b'{"username": "abc", "password": "x"}}',
        b'{"username": "line\nbreak", "password": "x"}',
        b'{"username": "\\ud800lone surrogate", "password": "x"}',
        b'{"username": "\\udc00\\ud800", "password": "x"}',
        b"\xef\xbb\xbf{}",
        b"username=abc&password=x",
        b"[" * 10_000,
        b'{"a":' * 3000,
        b"[" * 5000 + b"]" * 5000,
        b"9" * 10_000,
    ],
)
@pytest.mark.parametrize("path", [LOGIN, CODE])
def test_a_body_that_is_not_json_is_refused(service: Service, path: str, body: bytes) -> None:
    assert_problem(send_json(service.stack.port, path, body), 400, "invalid_request")


@pytest.mark.parametrize("body", [b"null", b"true", b"1", b'"text"', b"[]", b"[{}]"])
@pytest.mark.parametrize("path", [LOGIN, CODE])
def test_json_that_is_not_an_object_is_refused(service: Service, path: str, body: bytes) -> None:
    assert faults(send_json(service.stack.port, path, body)) == [["body"]]


@pytest.mark.parametrize(
    ("path", "missing"),
    [(LOGIN, "username"), (LOGIN, "password"), (CODE, "challenge_id"), (CODE, "mfa_code")],
)
def test_a_missing_field_is_named(service: Service, path: str, missing: str) -> None:
    fine = CREDENTIALS if path == LOGIN else {"challenge_id": "x", "mfa_code": "123456"}
    reply = service.client.post(path, json={k: v for k, v in fine.items() if k != missing})
    assert faults(reply) == [["body", missing]]


def test_every_wrong_field_is_named_at_once(service: Service) -> None:
    reply = login(service, username="ab", password="", domain="x")
    assert faults(reply) == [["body", "username"], ["body", "password"], ["body", "domain"]]


@pytest.mark.parametrize("value", [None, True, 123456, 1.5, ["x"], {"x": "y"}])
@pytest.mark.parametrize(
    ("path", "field"),
    [
        (LOGIN, "username"),
        (LOGIN, "password"),
        (LOGIN, "domain"),
        (CODE, "challenge_id"),
        (CODE, "mfa_code"),
    ],
)
def test_a_field_of_another_type_is_refused(
    service: Service, path: str, field: str, value: object
) -> None:
    fine: dict[str, Any] = {"challenge_id": "x", "mfa_code": "123456"}
    fine = dict(CREDENTIALS) if path == LOGIN else fine
    assert faults(service.client.post(path, json=fine | {field: value})) == [["body", field]]


@pytest.mark.parametrize("path", [LOGIN, CODE])
def test_an_unknown_field_is_refused_without_saying_its_name(service: Service, path: str) -> None:
    fine = CREDENTIALS if path == LOGIN else {"challenge_id": "x", "mfa_code": "123456"}
    reply = service.client.post(path, json=fine | {CANARY: CANARY})
    assert faults(reply) == [["body"]]
    assert CANARY not in reply.text


def test_many_unknown_fields_are_one_fault(service: Service) -> None:
    reply = service.client.post(LOGIN, json=CREDENTIALS | {f"x{n}": n for n in range(1000)})
    assert faults(reply) == [["body"]]


def test_the_last_of_a_repeated_field_counts(service: Service) -> None:
    body = b'{"username": "first", "username": "second", "password": "x"}'
    reply = send_json(service.stack.port, LOGIN, body)
    assert reply.status_code == 202
    job = Job(reply.json()["job_id"], reply.json()["poll_token"])
    assert service.credentials_of(job).username.get_secret_value() == "second"


@pytest.mark.parametrize(
    "shape",
    [
        '{{"username": "{0}\\n", "password": "{0}\\n", "domain": "{0}"}}',
        '{{"username": ["{0}"], "password": {{"{0}": "{0}"}}, "domain": ["{0}"]}}',
        '{{"username": "{0}", "password": "x", "{0}": "{0}"}}',
        '{{"username": "{0}", "password": "{0}", }}',
        '{{"{0}": {{"{0}": [["{0}"]]}}, "{0}2": "{0}"}}',
        '["{0}"]',
        '"{0}"',
        "{0}",
        '{{"challenge_id": "{0}\\u0000", "mfa_code": "{0}"}}',
        '{{"challenge_id": "' + "x" * 129 + '{0}", "mfa_code": ["{0}"]}}',
    ],
)
@pytest.mark.parametrize("path", [LOGIN, CODE])
def test_an_error_never_repeats_what_was_sent(service: Service, path: str, shape: str) -> None:
    reply = send_json(service.stack.port, path, shape.format(CANARY).encode())
    assert reply.status_code in (400, 422)
    assert CANARY not in reply.text + str(reply.headers)


def test_a_refused_code_leaves_its_challenge_open(service: Service) -> None:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    faults(service.send_code(challenge_id, "1"))
    assert service.send_code(challenge_id).status_code == 202


def test_a_refused_body_leaves_nothing_in_redis(service: Service) -> None:
    login(service, username="ab")
    service.client.post(LOGIN, content="{", headers={"Content-Type": "application/json"})
    assert service.keys() == set()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
_field = st.sampled_from(["username", "password", "domain", "challenge_id", "mfa_code"])
_bodies = st.binary() | (st.dictionaries(_field | st.text(), _json) | _json).map(
    lambda value: json.dumps(value).encode()
)


@hypothesis_settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(path=st.sampled_from([LOGIN, CODE]), body=_bodies)
def test_no_body_causes_a_server_error(service: Service, path: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    reply = service.client.post(path, content=body, headers=headers)
    assert reply.status_code in (202, 400, 404, 422)
