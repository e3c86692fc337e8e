"""People on the connect page, as its script asks, and the app that sends them there."""

import time

from dev.simulator import PASSWORD
from tests.end_to_end.client import PATIENCE, Json
from tests.end_to_end.flows import Flows, at_once
from tests.end_to_end.watched import member, person, token, wrong_code, wrong_password

_ORIGIN = "https://page-app.example"
_SESSIONS = "/api/connect-sessions"
_PAGE = "/api/connect"


def connect(flows: Flows) -> None:
    key = flows.new_client_key("add", "page-app", "--origin", _ORIGIN)
    at_once(lambda: _connects(flows, key), lambda: _cancels(flows, key), lambda: _fails(flows, key))


class Visit:
    """One person before the page, with the token of their session."""

    def __init__(self, flows: Flows, key: str) -> None:
        self.client = flows.client
        self._key = {"X-Client-Key": key}
        wish = {"user_id": member(), "return_url": f"{_ORIGIN}/", "embed_origin": _ORIGIN}
        reply = self.client.http.post(_SESSIONS, json=wish, headers=self._key)
        assert reply.status_code == 201, reply.text
        self.session_id: str = reply.json()["id"]
        address, _, secret = reply.json()["url"].partition("#")
        self.client.note("connect token", secret)
        self._bearer = {"Authorization": f"Bearer {secret}"}
        assert self.client.http.get(address).status_code == 200

    def post(self, step: str, body: Json | None = None) -> Json:
        """Take a step, and wait until it has ended."""
        reply = self.client.http.post(f"{_PAGE}/{step}", json=body, headers=self._bearer)
        assert reply.status_code == 200, reply.text
        state: Json = reply.json()
        ends_at = time.monotonic() + PATIENCE
        while state["step"]:
            assert time.monotonic() < ends_at, state
            query = {"wait": 20, "seen": state["step"]["stage"]}
            state = self.client.http.get(_PAGE, params=query, headers=self._bearer).json()
        return state

    def refused(self, step: str, body: Json, status: int) -> None:
        reply = self.client.http.post(f"{_PAGE}/{step}", json=body, headers=self._bearer)
        assert reply.status_code == status, reply.text

    def code(self, code: str) -> Json:
        return self.post("code", {"code": self.client.note("code", code)})

    def as_the_app_sees_it(self) -> Json:
        path = f"{_SESSIONS}/{self.session_id}"
        session: Json = self.client.http.get(path, headers=self._key).json()
        return session


def _connects(flows: Flows, key: str) -> None:
    visit, username = Visit(flows, key), person("email")
    asked = visit.post("password", {"username": username, "password": PASSWORD})
    assert asked["status"] == "code_required", asked
    assert visit.code(wrong_code())["error"]["code"] == "mfa_code_invalid"
    assert visit.as_the_app_sees_it()["status"] == "code_required"
    assert visit.code(flows.garmin.code(username))["status"] == "connected"
    visit.refused("code", {"code": wrong_code()}, 409)
    assert visit.as_the_app_sees_it()["status"] == "connected"


def _cancels(flows: Flows, key: str) -> None:
    visit = Visit(flows, key)
    body = {"username": person("plain"), "password": wrong_password()}
    assert visit.post("password", body)["error"]["code"] == "invalid_credentials"
    assert visit.post("cancel")["status"] == "cancelled"


def _fails(flows: Flows, key: str) -> None:
    visit = Visit(flows, key)
    visit.refused("import", {"tokens": flows.client.note("imported tokens", token())}, 422)
    body = {"username": person("locked"), "password": PASSWORD}
    assert visit.post("password", body)["error"]["code"] == "account_locked"
