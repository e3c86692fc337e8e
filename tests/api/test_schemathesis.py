"""schemathesis tries every operation of the document, and checks every response.

All of its checks are on, except one that can't hold for one operation. A new operation is tried
without a change here, unless it needs a new kind of token: then `Client` has to get one.
"""

from collections.abc import Iterator
from itertools import cycle
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr
from schemathesis import CheckContext, Response
from schemathesis.core.parameters import ParameterLocation
from schemathesis.schemas import BaseSchema

from api.contract.openapi import document
from api.contract.problems import Problem
from api.routes.table import OPERATIONS
from shared.errors import JobErrorCode
from shared.jobs.states import CodeRequested, Failure, JobStage, Outcome, Success
from shared.origin import UNKNOWN, Origin
from tests.api.connecting import APP, SESSIONS, STATE, App, resendable_challenge
from tests.api.service import CODE, IMPORT, LOGIN, Job, Service, bearer, pending, running_alone

Case = schemathesis.Case[Any]
POLL = "/api/jobs/{job_id}"
LINKS = "/api/users"
LINK = "/api/users/{user_id}/garmin"
RESEND = "/api/garmin/login/mfa-resend"
SESSION = f"{SESSIONS}/{{session_id}}"
TOKENS = (f"{LINK}/token", "/api/garmin/token")
_CURSOR = "MW1lbWJlci0w"  # of a page that ends with the user id `member-0`


def contract(*, real_tokens: bool, **checks: dict[str, object]) -> BaseSchema:
    """The document, and how it is tried: the same way each time."""
    generation = {
        "deterministic": True,
        "database": "none",
        "max-examples": 30,
        "with-security-parameters": not real_tokens,
    }
    # A wrong poll token gets not a 401 but the 404 of an unknown job, so that nobody learns which
    # jobs there are. The test below looks for that instead.
    polling = {
        "include-operation-id": ["get_job", "delete_job"],
        "checks": {"ignored_auth": {"enabled": False}},
    }
    # The links of the document, and none that are guessed from names: an app's `user_id` is taken
    # for the id of our users, so that no sign-in could begin without one.
    following: dict[str, object] = {"stateful": {"inference": {"algorithms": []}}}
    config = {
        "seed": 1,
        "generation": generation,
        "phases": following,
        "suppress-health-check": ["too_slow"],  # that is the machine
        "checks": checks,
        "operations": [polling] if real_tokens else [],
    }
    return schemathesis.openapi.from_dict(
        document(OPERATIONS), config=schemathesis.Config.from_dict(config)
    )


UNAUTHORIZED = contract(real_tokens=False)
"""Makes tokens and ids up: a valid request may be refused."""

AUTHORIZED = contract(real_tokens=True, positive_data_acceptance={"expected-statuses": ["2xx"]})
"""Has real tokens and ids: a valid request succeeds."""

FOLLOWER = contract(real_tokens=True)
"""Follows the links of the document, with the tokens that come along."""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service and a Redis of its own: they are left with a thousand jobs."""
    with running_alone(tmp_path_factory.mktemp("schemathesis")) as service:
        yield service


@pytest.fixture(scope="module")
def client(attacked: Service) -> "Client":
    return Client(attacked)


class Client:
    """A client with real tokens, and the ids that belong to them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        ended = [ended_job(service, outcome) for outcome in outcomes(service)]
        queued, begun = service.submit(), service.submit()
        service.jobs.advance(service.claim(begun), JobStage.CHECKING_CODE)
        self._ended, self._jobs = cycle(ended), cycle([queued, begun, *ended])

    def prepare(self, case: Case) -> dict[str, str]:
        """Replace valid ids with real ones. Return the headers to send along."""
        if is_valid(case, ParameterLocation.BODY):
            put_into_body(case, self._what_a_submission_needs(case))
        make_sendable(case)
        tokens = {
            "poll_token": self._poll_token,
            "access_token": self._access_token,
            "client_key": self._client_key,
            "connect_token": self._connect_token,
        }
        headers: dict[str, str] = {}
        for kind in kinds_of_token(case):
            headers |= tokens[kind](case)
        return headers

    def _what_a_submission_needs(self, case: Case) -> dict[str, Any]:
        """A challenge that is there; an account whose sign-in or import does not run already."""
        path = case.operation.path
        if path == IMPORT:
            return anything_new(case)
        if path == RESEND:
            challenge = resendable_challenge(self._service)
            return {"challenge_id": challenge.challenge_id.get_secret_value()}
        if path == CODE:
            challenge = self._service.ask_for_code()
            return {"challenge_id": challenge.challenge_id.get_secret_value()}
        if path == SESSIONS:  # only words say which origins and methods are allowed
            return {"return_url": APP, "embed_origin": APP, "methods": ["password"]}
        if path == f"{STATE}/import":
            case.body = {"tokens": uuid4().hex}
            return {}
        if path.startswith(STATE) and path != f"{STATE}/password":
            return {}
        return {} if path in TOKENS else {"username": new_username()}

    def _client_key(self, case: Case) -> dict[str, str]:
        """Of an app that has the link in question, or that names a person by an id of its own."""
        if case.operation.path == LINKS:
            if "cursor" in case.query and is_valid(case, ParameterLocation.QUERY):
                case.query["cursor"] = _CURSOR
            return self._service.app_with_link("member-1")
        if case.operation.path == SESSIONS:
            return App.add(self._service).headers
        if case.operation.path == SESSION:
            person = (app := App.add(self._service)).create()
            if is_valid(case, ParameterLocation.PATH):
                case.path_parameters["session_id"] = person.session_id
            return app.headers
        if case.operation.path not in (LINK, *TOKENS):
            return self._service.app_with_link("member-1") if names_a_user(case) else {}
        fits = is_valid(case, ParameterLocation.PATH)
        # It stands there as it will in the URL.
        linked = unquote(str(case.path_parameters["user_id"])) if fits else "member-1"
        return self._service.app_with_link(linked)

    def _connect_token(self, case: Case) -> dict[str, str]:
        person = App.add(self._service).create(methods=["password", "import"])
        if case.operation.path == f"{STATE}/code":
            person.sign_in(new_username())
            person.worker_ends(code_required(self._service, person.claim().origin))
        return bearer(person.token)

    def _poll_token(self, case: Case) -> dict[str, str]:
        if case.method == "DELETE":
            job = self._service.submit()  # one that has ended can't be cancelled
        else:
            # Only a job that has ended answers a poll that would wait at once.
            job = next(self._ended if "wait" in case.query else self._jobs)
        if is_valid(case, ParameterLocation.PATH):
            case.path_parameters["job_id"] = job.job_id
        return job.headers

    def _access_token(self, _: Case) -> dict[str, str]:
        return self._service.sign_in().headers


def anything_new(case: Case) -> dict[str, str]:
    """Tokens, or a key, that nobody has imported."""
    given = {"tokens", "personal_api_key"} & set(case.body if isinstance(case.body, dict) else ())
    return {name: uuid4().hex for name in given}


def new_username() -> str:
    """A username without a running sign-in."""
    return f"{uuid4().hex}@example.com"


def put_into_body(case: Case, fields: dict[str, Any]) -> None:
    if isinstance(case.body, dict):
        case.body = {**case.body, **fields}


_FRAMING = {"connection", "content-length", "expect", "host", "transfer-encoding", "upgrade"}
"""Headers about the message, not the operation: a server has to refuse it before it is one."""


def make_sendable(case: Case) -> None:
    """Leave out made up headers that end a message; no key comes again, with another body."""
    headers = case.headers
    for name in [name for name in headers if name.lower() in _FRAMING]:
        del headers[name]
    if "Idempotency-Key" in headers and is_valid(case, ParameterLocation.HEADER):
        headers["Idempotency-Key"] = uuid4().hex


def names_a_user(case: Case) -> bool:
    """Whether it needs an X-Client-Key, as the document can say in words alone."""
    return isinstance(case.body, dict) and case.body.get("user_id") is not None


def kinds_of_token(case: Case) -> list[str]:
    """What the operation asks for, by its name in the document."""
    requirements = case.operation.definition.raw.get("security", [])
    return [kind for requirement in requirements for kind in requirement]


def is_valid(case: Case, location: ParameterLocation) -> bool:
    """Whether this part of the request is as the document wants it."""
    assert case.meta is not None
    part = case.meta.components.get(location)
    return case.meta.generation.mode.is_positive if part is None else part.mode.is_positive


def ended_job(service: Service, outcome: Outcome) -> Job:
    job = service.submit()
    service.jobs.end(service.claim(job), outcome)
    return job


def outcomes(service: Service) -> list[Outcome]:
    """One of each kind."""
    challenge_id = service.ask_for_code().challenge_id
    wrong_code = Failure(
        code=JobErrorCode.MFA_CODE_INVALID, challenge_id=challenge_id, attempts_left=2
    )
    locked = Failure(code=JobErrorCode.ACCOUNT_LOCKED, retry_after=60)
    return [code_required(service), signed_in(service), wrong_code, locked]


def code_required(service: Service, origin: Origin = UNKNOWN) -> CodeRequested:
    challenge = service.challenges.create(pending(), origin)
    return CodeRequested(
        challenge_id=challenge.challenge_id,
        mfa_type="email",
        mfa_destination="ru***@example.com",
        expires_at=challenge.expires_at,
        attempts_left=challenge.attempts_left,
    )


def signed_in(service: Service) -> Success:
    account = service.sign_in()
    return Success(
        session_id=str(account.session_id),
        access_token=SecretStr(account.access_token),
        session_expires_at=account.session_expires_at,
        user_id=str(account.user_id),
        display_name="Läufer 🏃",
    )


def every_error_is_a_problem(_: CheckContext, response: Response, case: Case) -> None:
    """Also one that is no operation's own, as of a method that is not there."""
    if response.status_code >= 400:
        assert response.headers["content-type"] == ["application/problem+json"]
        problem = Problem.model_validate_json(response.content)
        assert problem.status == response.status_code


@UNAUTHORIZED.parametrize()
def test_an_unauthorized_client_gets_only_documented_responses(
    case: Case, attacked: Service
) -> None:
    make_sendable(case)
    headers = {"X-Client-Key": "made up"} if names_a_user(case) else {}
    case.call_and_validate(
        attacked.stack.url, headers=headers, additional_checks=[every_error_is_a_problem]
    )


@AUTHORIZED.parametrize()
def test_an_authorized_client_gets_only_documented_responses(
    case: Case, attacked: Service, client: Client
) -> None:
    headers = client.prepare(case)
    response = case.call_and_validate(
        attacked.stack.url, headers=headers, additional_checks=[every_error_is_a_problem]
    )
    if case.operation.path == POLL and response.status_code == 200:
        wrong = case.call(attacked.stack.url, headers=bearer("wrong"))
        assert wrong.status_code == 404, "in place of the check that is off"


def test_following_the_links_gets_only_documented_responses(attacked: Service) -> None:
    """From submission to poll to code to poll, with anything in between; the test is the worker."""
    seen: set[tuple[str, str]] = set()

    class SignIns(FOLLOWER.as_state_machine()):  # type: ignore[misc] # made from the document
        def setup(self) -> None:
            self.jobs: dict[str, Job] = {}

        def before_call(self, case: Case) -> None:
            make_sendable(case)
            if case.operation.path == LOGIN and is_valid(case, ParameterLocation.BODY):
                put_into_body(case, {"username": new_username()})
            if case.operation.path == IMPORT and is_valid(case, ParameterLocation.BODY):
                put_into_body(case, anything_new(case))

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            job = self.jobs.get(str((case.path_parameters or {}).get("job_id")))
            headers = job.headers if job else {}
            if names_a_user(case):
                headers |= attacked.app_with_link("member-1")
            return {"base_url": attacked.stack.url, "headers": headers}

        def after_call(self, response: Response, case: Case) -> None:
            super().after_call(response, case)
            body = response.json()
            if response.status_code == 202:
                job = Job(body["job_id"], body["poll_token"])
                self.jobs[job.job_id] = job
                outcome = code_required if case.operation.path == LOGIN else signed_in
                attacked.jobs.end(attacked.claim(job), outcome(attacked))
            seen.add((case.operation.path, str(body["status"])))

    limits = hypothesis_settings(
        max_examples=30,
        stateful_step_count=15,
        derandomize=True,
        database=None,
        deadline=None,
        # Long walks are thrown away more often than short ones, and a slow machine is no fault.
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )
    SignIns.run(settings=limits)
    assert seen >= {
        (LOGIN, "queued"),
        (IMPORT, "queued"),
        (POLL, "mfa_required"),
        (CODE, "queued"),
        (CODE, "409"),
        (POLL, "succeeded"),
    }
