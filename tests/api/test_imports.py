"""POST /api/garmin/import: one of tokens and a key, sealed, and a job like a sign-in."""

import json
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

from shared.accounts.clients import ClientRepository, Scope
from shared.garmin.imports import Import, ImportedKey, ImportedTokens
from shared.garmin.types import GarminDomain
from shared.jobs.states import Success
from tests.api.problems import assert_problem, faults
from tests.api.service import IMPORT, Job, Service
from tests.api.test_submitting import assert_accepted, message

DI = {"di_token": "canary-access", "di_refresh_token": "canary-refresh", "di_client_id": "client"}
KEY = {"personal_api_key": "canary-key"}


def post(service: Service, body: object, **headers: str) -> httpx.Response:
    return service.client.post(IMPORT, json=body, headers=headers)


def work_of(service: Service, job: Job) -> Import:
    """What the worker gets."""
    work = service.jobs.open_input(service.claim(job), Import)
    assert work is not None
    return work


def tokens_of(service: Service, tokens: object) -> str:
    work = work_of(service, assert_accepted(post(service, {"tokens": tokens})))
    assert isinstance(work.given, ImportedTokens)
    return work.given.tokens.get_secret_value()


def test_an_import_is_accepted_and_can_be_polled(service: Service) -> None:
    job = assert_accepted(post(service, {"tokens": DI}))
    polled = service.poll(job).json()
    assert (polled["status"], polled["kind"]) == ("queued", "import")


def test_the_worker_gets_the_tokens_as_a_text(service: Service) -> None:
    assert tokens_of(service, "a dump") == "a dump"
    assert json.loads(tokens_of(service, DI)) == DI
    assert json.loads(tokens_of(service, [{"oauth_token": "ä"}, DI])) == [{"oauth_token": "ä"}, DI]


def test_the_worker_gets_the_key_and_the_domain(service: Service) -> None:
    body = {"personal_api_key": " canary-key\n", "domain": "garmin.cn"}
    work = work_of(service, assert_accepted(post(service, body)))
    assert isinstance(work.given, ImportedKey)
    assert work.given.personal_api_key.get_secret_value() == "canary-key"
    assert work.domain is GarminDomain.CN
    other = post(service, {"personal_api_key": "other"})
    assert work_of(service, assert_accepted(other)).domain is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"domain": "garmin.com"},
        {"tokens": DI, **KEY},
        {"tokens": None, **KEY},
        {"tokens": None},
        {"tokens": 5},
        {"tokens": ""},
        {"personal_api_key": ""},
        {"personal_api_key": "two words"},
        {"personal_api_key": "k" * 1025},
        {"personal_api_key": {"a": 1}},
        {"tokens": DI, "domain": "garmin.example"},
        {"tokens": DI, "username": "canary-access"},
    ],
)
def test_anything_else_is_refused_and_not_repeated(service: Service, body: object) -> None:
    reply = post(service, body)
    assert faults(reply)
    assert "canary" not in reply.text
    assert service.kept() == set()


def test_a_number_that_is_too_long_is_refused(service: Service) -> None:
    body = '{"tokens": {"n": ' + "1" * 4299 + ', "m": ' + "9" * 5000 + "}}"
    reply = service.client.post(IMPORT, content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 422)


def test_nothing_that_was_given_is_readable_in_redis(service: Service) -> None:
    assert_accepted(post(service, {"tokens": DI}))
    assert_accepted(post(service, KEY))
    dump = b"".join(key + (service.redis.dump(key) or b"") for key in service.redis.scan_iter())
    assert b"canary" not in dump


def test_the_message_for_the_worker_contains_only_the_job_id(service: Service) -> None:
    job = assert_accepted(post(service, {"tokens": DI}))
    sent = message(service, "login")
    assert sent["headers"]["task"] == "garmin.import"
    assert sent["headers"]["argsrepr"] == f"['{job.job_id}']"


def test_the_same_key_and_body_answer_the_same_job(service: Service) -> None:
    again = {"Idempotency-Key": "key-1"}
    first, second = (post(service, {"tokens": DI}, **again).json() for _ in range(2))
    assert {name: first[name] for name in ("job_id", "poll_token")}.items() <= second.items()
    assert_problem(post(service, KEY, **again), 422, "idempotency_key_reused")


def test_the_same_tokens_are_imported_once_at_a_time(service: Service) -> None:
    assert_accepted(post(service, {"tokens": DI}))
    assert_problem(post(service, {"tokens": DI}), 409, "sign_in_in_progress")
    assert_accepted(post(service, {"tokens": {**DI, "di_token": "other"}}))


def test_a_user_id_needs_an_app(service: Service) -> None:
    reply = post(service, {"tokens": DI, "user_id": "member-1"})
    assert faults(reply) == [["body", "user_id"]]


def test_an_app_imports_for_its_user(service: Service) -> None:
    client, key = service.database.run(lambda s: ClientRepository(s).add(uuid4().hex[:30]))
    reply = post(service, {"tokens": DI, "user_id": "member-1"}, **{"X-Client-Key": key})
    origin = service.claim(assert_accepted(reply)).origin
    assert (origin.client_id, origin.client_user_id) == (client.client_id, "member-1")


def test_an_app_needs_the_scope_of_sign_ins(service: Service) -> None:
    _, key = service.database.run(
        lambda s: ClientRepository(s).add(uuid4().hex[:30], [Scope.TOKENS, Scope.CONNECTIONS])
    )
    assert_problem(post(service, {"tokens": DI}, **{"X-Client-Key": key}), 403, "scope_missing")


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_result_says_whether_the_tokens_were_moved(service: Service, exclusive: bool) -> None:
    job = assert_accepted(post(service, {"tokens": DI}))
    outcome = success(service).model_copy(update={"exclusive": exclusive})
    service.jobs.end(service.claim(job), outcome)
    polled = service.poll(job).json()
    assert polled["status"] == "succeeded"
    assert polled["exclusive"] is exclusive
    assert UUID(polled["user"]["id"])


def test_the_result_of_a_sign_in_does_not_say_that(service: Service) -> None:
    job = service.submit()
    service.jobs.end(service.claim(job), success(service))
    assert "exclusive" not in service.poll(job).json()


def success(service: Service) -> Success:
    account = service.sign_in()
    return Success(
        session_id=str(account.session_id),
        access_token=SecretStr(account.access_token),
        session_expires_at=account.session_expires_at,
        user_id=str(account.user_id),
        display_name="Anna",
    )


def test_empty_tokens_are_called_that(service: Service) -> None:
    reply = post(service, {"tokens": ""})
    assert reply.json()["errors"] == [{"loc": ["body", "tokens"], "message": "must not be empty"}]
