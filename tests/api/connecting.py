"""Connect sessions as an app and a person use them, with the test as the worker."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from shared.accounts.appearance import Appearance
from shared.accounts.clients import ClientRepository
from shared.garmin.types import CodeSubmission, Credentials
from shared.jobs.challenges import NewChallenge
from shared.jobs.claims import Claim
from shared.jobs.states import Outcome
from shared.origin import UNKNOWN, Origin
from tests.api.service import Service, bearer, pending

APP = "https://app.example"
SESSIONS = "/api/connect-sessions"
STATE = "/api/connect"


@dataclass(frozen=True)
class App:
    service: Service
    client_id: UUID
    key: str

    @classmethod
    def add(cls, service: Service, **appearance: Any) -> "App":  # noqa: ANN401
        shown = Appearance.of(
            appearance.get("display_name"),
            appearance.get("accent"),
            appearance.get("origins", [APP]),
        )
        client, key = service.database.run(
            lambda session: ClientRepository(session).add(uuid4().hex, appearance=shown)
        )
        return cls(service, client.client_id, key)

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Client-Key": self.key}

    def post(self, **body: Any) -> httpx.Response:  # noqa: ANN401
        body.setdefault("user_id", "member-1")
        return self.service.client.post(SESSIONS, json=body, headers=self.headers)

    def create(self, **body: Any) -> "Person":  # noqa: ANN401
        reply = self.post(**body)
        assert reply.status_code == 201, reply.text
        session_id, url = reply.json()["id"], reply.json()["url"]
        return Person(self.service, session_id, url, url.partition("#")[2])

    def session(self, session_id: str) -> dict[str, Any]:
        reply = self.service.client.get(f"{SESSIONS}/{session_id}", headers=self.headers)
        assert reply.status_code == 200, reply.text
        answer: dict[str, Any] = reply.json()
        return answer


@dataclass(frozen=True)
class Person:
    """A person before the connect page."""

    service: Service
    session_id: str
    url: str
    token: str

    def reply(self, path: str = "", body: Any = None, **query: Any) -> httpx.Response:  # noqa: ANN401
        headers, url = bearer(self.token), f"{STATE}{path}"
        if not path:
            return self.service.client.get(url, headers=headers, params=query)
        return self.service.client.post(url, headers=headers, json=body)

    def state(self, path: str = "", body: Any = None, **query: Any) -> dict[str, Any]:  # noqa: ANN401
        reply = self.reply(path, body, **query)
        assert reply.status_code == 200, reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    def sign_in(self, username: str = "runner@example.com") -> dict[str, Any]:
        return self.state("/password", {"username": username, "password": "correct horse"})

    def send_code(self, code: str = "123456") -> dict[str, Any]:
        return self.state("/code", {"code": code})

    def claim(self) -> Claim:
        """Take the job that the session waits for, as a worker does."""
        kept = self.service.connect.read(self.session_id).session
        assert kept.attempt is not None
        return self.service.jobs.claim(kept.attempt.job_id, owner="worker")

    def worker_ends(self, outcome: Outcome) -> Claim:
        claim = self.claim()
        self.service.jobs.end(claim, outcome)
        return claim

    def credentials(self) -> Credentials:
        credentials = self.service.jobs.open_input(self.claim(), Credentials)
        assert credentials is not None
        return credentials

    def code_of_worker(self) -> CodeSubmission:
        code = self.service.jobs.open_input(self.claim(), CodeSubmission)
        assert code is not None
        return code


def resendable_challenge(service: Service, origin: Origin = UNKNOWN, ago: int = 31) -> NewChallenge:
    """Create a challenge whose code was sent so many seconds ago, and can be sent again."""
    again = pending("ru***@example.com").model_copy(update={"can_resend": True})
    with pytest.MonkeyPatch.context() as patch:
        now = service.redis.time()[0]
        patch.setattr("shared.jobs.challenges.redis_ms", lambda _: (now - ago) * 1000)
        return service.challenges.create(again, origin)
