"""The service's HTTP contract, one method for each request."""

from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Self

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from cli.address import Server
from cli.answers import JOB, Job, Problem, Session, Submitted
from cli.codes import Code
from cli.trouble import AnswerLost, Refusal, Trouble
from cli.wire import Reply, Wire

LONGEST_POLL = 20

# What a proxy in front of the service means when it answers in the service's stead.
_PLAIN_MEANING = {
    429: Code.RATE_LIMITED,
    502: Code.SERVICE_UNAVAILABLE,
    503: Code.SERVICE_UNAVAILABLE,
    504: Code.SERVICE_UNAVAILABLE,
}

_LOST_BEHIND_A_GATEWAY = frozenset({502, 504})


@dataclass(frozen=True)
class Credentials:
    username: str
    password: SecretStr
    domain: str


@dataclass(frozen=True)
class JobReading:
    job: Job
    retry_after: int | None


class Service:
    """Every method raises `Trouble`; none tries anything twice.

    `client_key` is needed where the service takes sign-ins from known apps alone.
    """

    def __init__(self, server: Server, client_key: SecretStr | None = None) -> None:
        self.server = server
        self._client_key = client_key
        self._wire = Wire(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._wire.close()

    def submit_login(self, credentials: Credentials) -> Submitted:
        body = {
            "username": credentials.username,
            "password": credentials.password.get_secret_value(),
            "domain": credentials.domain,
        }
        return self._submit("/api/garmin/login", body)

    def submit_code(self, challenge_id: SecretStr, code: SecretStr) -> Submitted:
        body = {
            "challenge_id": challenge_id.get_secret_value(),
            "mfa_code": code.get_secret_value(),
        }
        return self._submit("/api/garmin/login/mfa-complete", body)

    def _submit(self, path: str, body: dict[str, str]) -> Submitted:
        reply = self._wire.send("POST", path, client_key=self._client_key, body=body)
        if reply.status in _LOST_BEHIND_A_GATEWAY:
            raise AnswerLost
        if reply.status == HTTPStatus.UNAUTHORIZED:  # a submission has no session to be over
            raise Trouble(Code.CLIENT_KEY_NEEDED)
        _accepted(reply)
        submitted = _understood(Submitted, reply)
        return submitted.model_copy(update={"retry_after": reply.retry_after})

    def job(self, status_url: str, poll_token: SecretStr, *, wait: int = 0) -> JobReading:
        path = self._local_path(status_url)
        reply = _accepted(self._wire.send("GET", path, bearer=poll_token, wait=wait))
        try:
            return JobReading(JOB.validate_python(reply.data()), reply.retry_after)
        except ValidationError:
            raise _not_understood(reply) from None

    def session(self, access_token: SecretStr) -> Session:
        return _understood(
            Session, _accepted(self._wire.send("GET", "/api/session", bearer=access_token))
        )

    def end_session(self, access_token: SecretStr) -> None:
        _accepted(self._wire.send("DELETE", "/api/session", bearer=access_token))

    def end_all_sessions(self, access_token: SecretStr) -> None:
        _accepted(self._wire.send("DELETE", "/api/sessions", bearer=access_token))

    def _local_path(self, status_url: str) -> str:
        """The poll token goes nowhere but to the server it came from."""
        if not status_url.startswith("/") or status_url.startswith("//"):
            raise Trouble(Code.UNEXPECTED_ANSWER, detail="its status_url is not a path")
        return status_url.removeprefix(self.server.path)


def job_path(job_id: str) -> str:
    return f"/api/jobs/{job_id}"


def _understood[M: BaseModel](model: type[M], reply: Reply) -> M:
    try:
        return model.model_validate(reply.data())
    except ValidationError:
        raise _not_understood(reply) from None


def _not_understood(reply: Reply) -> Trouble:
    return Trouble(Code.UNEXPECTED_ANSWER, detail=f"HTTP {reply.status}, not the agreed form")


def _accepted(reply: Reply) -> Reply:
    """The reply, if it is a 2xx. Raises `Refusal`."""
    if 200 <= reply.status < 300:
        return reply
    if 300 <= reply.status < 400:
        detail = f"it points elsewhere: {_origin(reply.location)}"
        raise Refusal(reply.status, Code.UNEXPECTED_ANSWER, detail=detail)
    try:
        problem = Problem.model_validate(reply.data())
    except (ValidationError, Trouble):
        raise _without_problem(reply) from None
    raise Refusal(
        reply.status, problem.code, detail=problem.described(), retry_after=reply.retry_after
    )


def _without_problem(reply: Reply) -> Refusal:
    return Refusal(
        reply.status,
        _PLAIN_MEANING.get(reply.status, Code.UNEXPECTED_ANSWER),
        detail=f"HTTP {reply.status}",
        retry_after=reply.retry_after,
    )


def _origin(location: str | None) -> str:
    try:
        url = httpx.URL(location or "")
    except httpx.InvalidURL:
        return "an unreadable address"
    return f"{url.scheme}://{url.netloc.decode('ascii')}" if url.host else "another path there"
