"""The shape of an answer: enough to recognize it, and nothing of what it says."""

import json
from dataclasses import dataclass, field

import pytest

from worker.drivers.shapes import shape_of
from worker.drivers.steps import NAMES, step_of

SECRETS = (
    "anna@example.com",
    "ST-0123456-abcdefghij-sso",
    "Anna Example",
    "4711",
    "eyJhbGciOiJSUzI1NiJ9",
)


@dataclass
class Answer:
    text: str
    headers: dict[str, str] = field(default_factory=dict)
    status_code: int = 200

    @property
    def content(self) -> bytes:
        return self.text.encode()


def test_a_shape_says_what_kind_of_answer_it_was() -> None:
    body = {"responseStatus": {"type": "NEW", "message": "what"}, "error": {"status-code": "4"}}
    answer = Answer(json.dumps(body), {"content-type": "application/json; charset=utf-8"}, 418)
    shape = shape_of("login", answer)
    assert (shape.step, shape.status, shape.content_type) == ("login", 418, "application/json")
    assert shape.length == len(answer.content)
    inner = ("responseStatus", "responseStatus.type", "responseStatus.message")
    assert shape.keys == (*inner, "error", "error.status-code")


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Update Phone Number", "update phone number"),
        ("Anna Example's page", "other"),
        (None, ""),
    ],
)
def test_a_title_is_shown_if_it_is_a_known_one(title: str | None, shown: str) -> None:
    head = f"<title>{title}</title>" if title else ""
    assert shape_of("login", Answer(f"<html>{head}</html>")).title == shown


@pytest.mark.parametrize("secret", SECRETS)
def test_no_content_gets_into_a_shape(secret: str) -> None:
    for body in ({secret: {secret: secret}}, {"key": [secret]}, [secret], secret):
        headers = {"content-type": f"text/{secret}; name={secret}"}
        assert secret not in repr(shape_of("login", Answer(json.dumps(body), headers)))
    page = f"<html><title>{secret}</title><body>{secret}</body></html>"
    assert secret not in repr(shape_of("login", Answer(page)))


def test_a_shape_is_bounded() -> None:
    body = {"k" * length: {"x" * n: n for n in range(1, 99)} for length in range(1, 99)}
    assert len(repr(shape_of("login", Answer(json.dumps(body))))) < 2000
    assert shape_of("login", Answer("[" * 100_000)).keys == ()


@pytest.mark.parametrize(
    ("method", "path", "step"),
    [
        ("GET", "/mobile/sso/en/sign-in", "page"),
        ("POST", "/mobile/api/login", "login"),
        ("POST", "/sso/signin", "login"),
        ("POST", "/mobile/api/mfa/verifyCode", "mfa"),
        ("POST", "/sso/verifyMFA/loginEnterMfaCode", "mfa"),
        ("GET", "/oauth-service/oauth/preauthorized", "oauth1"),
        ("POST", "/oauth-service/oauth/exchange/user/2.0", "oauth2"),
        ("POST", "/di-oauth2-service/oauth/token", "di"),
        ("POST", "/personalapitoken-service/personal-api/personal-api-key/token", "key"),
        ("GET", "/userprofile-service/socialProfile", "profile"),
        ("GET", "/anna@example.com", "other"),
    ],
)
def test_a_request_belongs_to_one_of_few_steps(method: str, path: str, step: str) -> None:
    assert step_of(method, f"https://sso.garmin.com{path}?ticket=ST-1") == step
    assert step in NAMES
