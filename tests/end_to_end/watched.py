"""A client that notes every secret which goes through it, and secrets that can't be mistaken."""

import json
import secrets

import httpx

from tests.end_to_end.client import Client, Json
from tests.end_to_end.detector import SHORTEST, Canary
from tests.end_to_end.recorders import ERRORS, Recording

LOGIN = "/api/garmin/login"
CODE = "/api/garmin/login/mfa-complete"

_SECRETS = {
    "username": "username",
    "password": "password",
    "mfa_code": "code",
    "challenge_id": "challenge id",
    "mfa_challenge_id": "challenge id",
    "poll_token": "poll token",
    "access_token": "access token",
    "user_id": "user id",
}
_HEADERS = {"X-Client-Key": "client key", "Idempotency-Key": "idempotency key"}


class WatchedClient(Client):
    """Records every reply that says something was wrong: it must hold no secret."""

    def __init__(self, url: str, recording: Recording) -> None:
        super().__init__(url)
        self.canaries: set[Canary] = set()
        self.job_ids: set[str] = set()
        self.session_ids: set[str] = set()
        self._recording = recording
        self.http.event_hooks = {"request": [self._sent], "response": [self._received]}

    def note(self, kind: str, secret: str) -> str:
        self.canaries.add(Canary.of(kind, secret))
        return secret

    def _sent(self, request: httpx.Request) -> None:
        self._note_secrets(_fields(request.read()))
        for name, kind in _HEADERS.items():
            if name in request.headers:
                self.note(kind, request.headers[name])

    def _received(self, response: httpx.Response) -> None:
        told = _fields(response.read())
        if response.status_code >= 400:
            head = f"{response.status_code} {response.reason_phrase} {dict(response.headers)}"
            self._recording.note(ERRORS, head.encode() + b"\n" + response.content)
            return
        if "error" in told:
            self._recording.note(ERRORS, json.dumps(told["error"]))
        self._note_secrets(told)
        self.job_ids |= {told["job_id"]} if "job_id" in told else set()
        self.session_ids |= {told["session_id"]} if "session_id" in told else set()

    def _note_secrets(self, fields: Json) -> None:
        for name, kind in _SECRETS.items():
            value = fields.get(name)
            if isinstance(value, str) and len(value) >= SHORTEST:
                self.note(kind, value.strip().encode(errors="ignore").decode())


def person(words: str) -> str:
    """A username that nobody else has, which behaves as its first words say."""
    return f"{words}-{secrets.token_hex(6)}@example.com"


def member() -> str:
    """An id that an app has for its person, and has made of an address."""
    return f"member-{secrets.token_hex(6)}@app.example.com"


def token() -> str:
    """As long as all tokens and keys of ours, and unknown."""
    return secrets.token_urlsafe(32)


def wrong_password() -> str:
    """One that every way of writing it down writes in another way."""
    return f'wrong "pässword" \\ 100% & {secrets.token_hex(6)}'


def wrong_code() -> str:
    return "".join(secrets.choice("GHJKLMNPQRSTUVWXYZ") for _ in range(10))


def _fields(body: bytes) -> Json:
    """A JSON object's; none of anything else's."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
