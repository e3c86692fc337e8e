"""Every call of the service, written once for both clients."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar
from urllib.parse import quote
from uuid import uuid4

from fittrack_auth_client.connect import ConnectSession, NewConnectSession, wish
from fittrack_auth_client.errors import NoResultInTimeError, UnexpectedAnswerError, job_failed
from fittrack_auth_client.exchange import Operation, Reply, Request, Waiting, header_token
from fittrack_auth_client.models import (
    CodeRequired,
    Connection,
    ConnectionPage,
    Job,
    JobFailed,
    JobInProgress,
    Session,
    SignedIn,
    SubmittedJob,
    Token,
    read_job,
)
from fittrack_auth_client.retries import SHORTEST_PAUSE, Deadline, OnRetry, send
from fittrack_auth_client.secret import Secret, as_secret
from fittrack_auth_client.tokens import TokenCache, Turn, Wanted, digest

RETRY_SECONDS = 60.0
LONGEST_POLL = 20
LONGEST_JOB = 3600.0
MIN_VALID_FOR = 300
TOKEN_SECONDS = 60.0
CANCEL_SECONDS = 10.0
FIRST_STAGE = "waiting_for_worker"
_PAUSE_WITHOUT_RETRY_AFTER = 1.0
_REFRESHING = 202
_CONNECT_SESSIONS = "/api/connect-sessions"

T = TypeVar("T")
OnStage: TypeAlias = Callable[[str], None]
Text: TypeAlias = str | Secret
TokensToImport: TypeAlias = Text | Mapping[str, object] | Sequence[object]


def ignore(*_: object) -> None:
    """Do nothing: the default of every hook."""


class Operations:
    """`client_key` identifies an app; it goes with submissions and connections alone."""

    def __init__(self, client_key: Text | None, max_retries: int, on_retry: OnRetry) -> None:
        self._client_headers = _client_key_header(client_key)
        self._max_retries = max_retries
        self._on_retry = on_retry
        self._tokens = TokenCache()

    def submit_sign_in(
        self,
        username: str,
        password: Text,
        *,
        domain: str,
        user_id: str | None,
        idempotency_key: str | None,
    ) -> Operation[SubmittedJob]:
        body: dict[str, Text] = {
            "username": username,
            "password": as_secret(password),
            "domain": domain,
        }
        if user_id is not None:
            body["user_id"] = user_id
        return self._submit("/api/garmin/login", body, idempotency_key)

    def submit_code(
        self, challenge: CodeRequired | Text, code: Text, *, idempotency_key: str | None
    ) -> Operation[SubmittedJob]:
        challenge_id = challenge.challenge_id if isinstance(challenge, CodeRequired) else challenge
        body = {"challenge_id": as_secret(challenge_id), "mfa_code": as_secret(code)}
        return self._submit("/api/garmin/login/mfa-complete", body, idempotency_key)

    def resend_code(
        self, challenge: CodeRequired | Text, *, on_stage: OnStage
    ) -> Operation[CodeRequired]:
        challenge_id = challenge.challenge_id if isinstance(challenge, CodeRequired) else challenge
        body = {"challenge_id": as_secret(challenge_id)}
        submitted = yield from self._submit("/api/garmin/login/mfa-resend", body, None)
        ended = yield from self.wait(submitted, timeout=None, on_stage=on_stage)
        if isinstance(ended, SignedIn):
            raise UnexpectedAnswerError("a code that was sent again has signed in")
        return ended

    def job(self, submitted: SubmittedJob, *, wait: int, seen: str | None) -> Operation[Job]:
        reply = yield from self._send(_poll(submitted, wait, seen))
        return reply.read(read_job)

    def cancel(self, submitted: SubmittedJob, *, timeout: float) -> Operation[None]:
        request = Request("DELETE", _job(submitted), _bearer(submitted.poll_token))
        yield from send(request, Deadline.after(timeout), self._max_retries, self._on_retry)

    def wait(
        self, submitted: SubmittedJob, *, timeout: float | None, on_stage: OnStage
    ) -> Operation[CodeRequired | SignedIn]:
        """Poll until the job has ended, through outages. Raises JobFailedError."""
        limit = math.inf if timeout is None else timeout
        deadline = Deadline.after(min(submitted.expires_in, LONGEST_JOB, limit))
        stage, pause = FIRST_STAGE, 0.0
        while not deadline.passed:
            on_stage(stage)
            wait = min(LONGEST_POLL, int(deadline.left))
            request = _poll(submitted, wait, stage, delay=min(pause, deadline.left))
            reply = yield from send(request, deadline, math.inf, self._on_retry)
            job = reply.read(read_job)
            if isinstance(job, JobFailed):
                raise job_failed(job)
            if not isinstance(job, JobInProgress):
                self._tokens.clear()  # a sign-in may have moved a connection
                return job
            pause = _pause_before_next_poll(reply, changed=job.stage != stage)
            stage = job.stage
        raise NoResultInTimeError

    def sign_in(
        self,
        username: str,
        password: Text,
        *,
        domain: str,
        user_id: str | None,
        on_stage: OnStage,
    ) -> Operation[CodeRequired | SignedIn]:
        submitted = yield from self.submit_sign_in(
            username, password, domain=domain, user_id=user_id, idempotency_key=None
        )
        return (yield from self.wait(submitted, timeout=None, on_stage=on_stage))

    def enter_code(
        self, challenge: CodeRequired | Text, code: Text, *, on_stage: OnStage
    ) -> Operation[SignedIn]:
        submitted = yield from self.submit_code(challenge, code, idempotency_key=None)
        ended = yield from self.wait(submitted, timeout=None, on_stage=on_stage)
        if isinstance(ended, CodeRequired):
            raise UnexpectedAnswerError("another code is required")
        return ended

    def import_tokens(
        self,
        tokens: TokensToImport,
        *,
        domain: str | None,
        user_id: str | None,
        on_stage: OnStage,
    ) -> Operation[SignedIn]:
        text = tokens if isinstance(tokens, str | Secret) else json.dumps(tokens)
        return self._import({"tokens": as_secret(text)}, domain, user_id, on_stage)

    def import_personal_api_key(
        self, key: Text, *, domain: str | None, user_id: str | None, on_stage: OnStage
    ) -> Operation[SignedIn]:
        return self._import({"personal_api_key": as_secret(key)}, domain, user_id, on_stage)

    def session(self, access_token: Text) -> Operation[Session]:
        reply = yield from self._send(Request("GET", "/api/session", _bearer(access_token)))
        return reply.read(Session.read)

    def token(
        self, user_id: str, *, min_valid_for: int, rejected: Text | None, timeout: float
    ) -> Operation[Token]:
        request = Request("POST", f"{_garmin_of(user_id)}/token", self._client_headers)
        wanted = Wanted.of(min_valid_for, _optional_secret(rejected))
        return self._token(_name_of_user(user_id), request, wanted, timeout)

    def session_token(
        self, access_token: Text, *, min_valid_for: int, rejected: Text | None, timeout: float
    ) -> Operation[Token]:
        request = Request("POST", "/api/garmin/token", _bearer(access_token))
        wanted = Wanted.of(min_valid_for, _optional_secret(rejected))
        return self._token(_name_of_session(access_token), request, wanted, timeout)

    def delete(self, path: str, access_token: Text) -> Operation[None]:
        try:
            yield from self._send(Request("DELETE", path, _bearer(access_token)))
        finally:
            self._tokens.forget(_name_of_session(access_token))

    def connections(
        self, *, state: str | None, limit: int | None, cursor: str | None
    ) -> Operation[ConnectionPage]:
        given = {"state": state, "limit": limit, "cursor": cursor}
        params = {name: str(value) for name, value in given.items() if value is not None}
        reply = yield from self._send(Request("GET", "/api/users", self._client_headers, params))
        return reply.read(ConnectionPage.read)

    def connection(self, user_id: str) -> Operation[Connection]:
        reply = yield from self._send(Request("GET", _garmin_of(user_id), self._client_headers))
        return reply.read(Connection.read)

    def disconnect(self, user_id: str) -> Operation[None]:
        try:
            yield from self._send(Request("DELETE", _garmin_of(user_id), self._client_headers))
        finally:
            self._tokens.forget(_name_of_user(user_id))

    def create_connect_session(
        self, user_id: str, options: Mapping[str, str | None], methods: Sequence[str] | None
    ) -> Operation[NewConnectSession]:
        """A repetition after a lost answer leaves a session behind that nobody has the URL of."""
        body = wish(user_id, options, methods)
        request = Request("POST", _CONNECT_SESSIONS, self._client_headers, body=body)
        reply = yield from self._send(request)
        return reply.read(NewConnectSession.read)

    def connect_session(self, session_id: str) -> Operation[ConnectSession]:
        path = f"{_CONNECT_SESSIONS}/{_segment(session_id)}"
        reply = yield from self._send(Request("GET", path, self._client_headers))
        session = reply.read(ConnectSession.read)
        if session.status == "connected":
            self._tokens.forget(_name_of_user(session.user_id))
        return session

    def _token(
        self, name: str, request: Request, wanted: Wanted, timeout: float
    ) -> Operation[Token]:
        """From the cache, from somebody else who is asking for it, or from the service."""
        deadline = Deadline.after(timeout)
        while True:
            found = self._tokens.find(name, wanted)
            if isinstance(found, Token):
                return found
            if isinstance(found, Turn):
                with self._tokens.asking(name, found):
                    token = yield from self._refreshed(replace(request, body=wanted.body), deadline)
                    found.keep(token)
                return token
            yield Waiting(found, deadline.left)
            error = found.result() if found.done() else NoResultInTimeError()
            if error is not None:
                raise error

    def _refreshed(self, request: Request, deadline: Deadline) -> Operation[Token]:
        """Ask until the service has refreshed the token. Raises NoResultInTimeError."""
        pause = 0.0
        while pause < deadline.left:
            wait = min(LONGEST_POLL, int(deadline.left - pause))
            request = replace(request, wait=wait, delay=pause)
            reply = yield from send(request, deadline, self._max_retries, self._on_retry)
            if reply.status != _REFRESHING:
                return reply.read(Token.read)
            pause = _pause_before_next_poll(reply, changed=False)
        raise NoResultInTimeError

    def _import(
        self, given: Mapping[str, Text], domain: str | None, user_id: str | None, on_stage: OnStage
    ) -> Operation[SignedIn]:
        options = {"domain": domain, "user_id": user_id}
        body = {**given, **{name: value for name, value in options.items() if value is not None}}
        submitted = yield from self._submit("/api/garmin/import", body, None)
        ended = yield from self.wait(submitted, timeout=None, on_stage=on_stage)
        if isinstance(ended, CodeRequired):
            raise UnexpectedAnswerError("a code is required")
        return ended

    def _submit(
        self, path: str, body: Mapping[str, Text], idempotency_key: str | None
    ) -> Operation[SubmittedJob]:
        headers = {"Idempotency-Key": idempotency_key or str(uuid4()), **self._client_headers}
        reply = yield from self._send(Request("POST", path, headers, body=body))
        return reply.read(SubmittedJob.read)

    def _send(self, request: Request) -> Operation[Reply]:
        deadline = Deadline.after(RETRY_SECONDS + request.wait)
        return send(request, deadline, self._max_retries, self._on_retry)


def _poll(submitted: SubmittedJob, wait: int, seen: str | None, delay: float = 0.0) -> Request:
    """The path is made of the job's id, so that the poll token goes to no other server."""
    params = {} if seen is None else {"seen": seen}
    headers = _bearer(submitted.poll_token)
    return Request("GET", _job(submitted), headers, params, wait=wait, delay=delay)


def _job(submitted: SubmittedJob) -> str:
    return f"/api/jobs/{_segment(submitted.job_id)}"


def _pause_before_next_poll(reply: Reply, *, changed: bool) -> float:
    """As long as the service says. A stage that did not change might be answered in no time."""
    if reply.retry_after is None:
        return _PAUSE_WITHOUT_RETRY_AFTER
    return max(float(reply.retry_after), 0.0 if changed else SHORTEST_PAUSE)


def _bearer(token: Text) -> dict[str, str]:
    return {"Authorization": f"Bearer {header_token(as_secret(token))}"}


def _client_key_header(client_key: Text | None) -> dict[str, str]:
    return {} if client_key is None else {"X-Client-Key": header_token(as_secret(client_key))}


def _garmin_of(user_id: str) -> str:
    return f"/api/users/{_segment(user_id)}/garmin"


def _name_of_user(user_id: str) -> str:
    return f"user:{user_id}"


def _name_of_session(access_token: Text) -> str:
    return f"session:{digest(as_secret(access_token))}"


def _optional_secret(value: Text | None) -> Secret | None:
    return None if value is None else as_secret(value)


def _segment(text: str) -> str:
    """One segment of a path. Dots too are escaped: `..` would lead elsewhere."""
    return quote(text, safe="").replace(".", "%2E")
