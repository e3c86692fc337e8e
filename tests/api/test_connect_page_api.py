"""/api/connect: the person's side of a connect session."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, update

from shared.audit.outbox import EventOutbox
from shared.connect.session import ConnectSession
from shared.connect.store import Kept
from shared.database.models import ApiClient
from shared.errors import InvalidCredentialsError
from shared.garmin.imports import Import
from shared.jobs.states import Failure, JobStage
from tests.api.connecting import STATE, App, Person
from tests.api.problems import assert_problem, faults
from tests.api.service import PATIENCE, Service, bearer, pending
from tests.shared.jobs.outcomes import CODE_REQUIRED, SUCCESS, WRONG_CODE

WRONG_PASSWORD = Failure.of(InvalidCredentialsError())
STEPS = ("/password", "/code", "/import", "/resend", "/restart", "/cancel")
BODIES = {
    "/password": {"username": "runner@example.com", "password": "x"},
    "/code": {"code": "1234"},
    "/import": {"tokens": "x"},
}


@pytest.fixture
def app(service: Service) -> App:
    return App.add(service, display_name="My App", accent="#ffee00")


@pytest.fixture
def person(app: App) -> Person:
    return app.create(methods=["password", "import"])


def kinds(service: Service) -> list[str]:
    events = [event for _, event in EventOutbox(service.redis).oldest(50) if event is not None]
    return [event.kind for event in events if event.kind.startswith("connect_")]


def test_the_page_learns_who_asks_and_for_what(person: Person) -> None:
    state = person.state()
    assert state["app"]["name"] == "My App"
    assert state["app"]["light"]["accent"] != "#ffee00"  # not to be read on white
    assert state["app"]["dark"]["accent"] == "#ffee00"
    assert (state["status"], state["step"], state["code"], state["error"]) == (
        "open",
        None,
        None,
        None,
    )
    assert state["methods"][0] == "password"
    assert 890 <= state["expires_in"] <= 900


@pytest.mark.parametrize("path", ["", *STEPS])
def test_nothing_happens_without_the_token(service: Service, person: Person, path: str) -> None:
    for headers in ({}, bearer("x" * 43), bearer(person.session_id)):
        method = "POST" if path else "GET"
        reply = service.client.request(
            method, f"{STATE}{path}", json=BODIES.get(path), headers=headers
        )
        assert_problem(reply, 401, "unauthorized")


def test_a_sign_in_is_the_apps_and_counts_for_the_person(
    service: Service, app: App, person: Person
) -> None:
    state = person.sign_in("  Runner@example.com ")
    assert state["step"] == {"kind": "login", "stage": "waiting_for_worker"}
    claim = person.claim()
    assert claim.origin.client_id == app.client_id
    assert claim.origin.client_user_id == "member-1"
    assert claim.origin.address == "127.0.0.1"
    assert person.credentials().username.get_secret_value() == "Runner@example.com"
    counted = {key.decode().split(":")[2] for key in service.redis.scan_iter("fittrack:limit:*")}
    assert counted == {"login-ip", "login-client"}  # the person's sign-in, the app's session


def test_a_poll_answers_when_the_job_goes_on(service: Service, person: Person) -> None:
    person.sign_in()
    service.until_listening()
    service.count_reads()
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(person.state, wait=30, seen="waiting_for_worker")
        service.until_read(1)
        claim = person.claim()
        assert poll.result(PATIENCE)["step"]["stage"] == "contacting_garmin"
        service.count_reads()
        poll = pool.submit(person.state, wait=30, seen="contacting_garmin")
        service.until_read(1)
        service.jobs.advance(claim, JobStage.STORING)
        assert poll.result(PATIENCE)["step"]["stage"] == "storing"


def test_a_code_is_waited_for_and_sent_once_for_the_same_challenge(
    service: Service, person: Person
) -> None:
    person.sign_in()
    claim = person.claim()
    challenge = service.challenges.create(pending("an*****@example.com"), claim.origin)
    asked = CODE_REQUIRED.model_copy(update={"challenge_id": challenge.challenge_id})
    service.jobs.end(claim, asked)
    code = person.state()["code"]
    assert (code["type"], code["destination"], code["attempts_left"]) == (
        "email",
        "an*****@example.com",
        3,
    )
    assert challenge.challenge_id.get_secret_value() not in str(person.state())
    assert person.send_code("\uff11\uff12\uff13 456\n")["step"]["kind"] == "mfa_completion"
    assert person.code_of_worker().code.get_secret_value() == "123456"
    assert_problem(person.reply("/code", {"code": "123456"}), 409, "sign_in_in_progress")
    person.worker_ends(WRONG_CODE)
    state = person.state()
    assert state["status"] == "code_required"
    assert state["error"]["code"] == "mfa_code_invalid"
    assert state["code"]["attempts_left"] == 2


def test_tokens_are_imported_for_the_app(app: App, person: Person) -> None:
    assert person.state("/import", {"tokens": {"di_token": "x"}})["step"]["kind"] == "import"
    claim = person.claim()
    assert (claim.origin.client_id, claim.origin.client_user_id) == (app.client_id, "member-1")
    work = person.service.jobs.open_input(claim, Import)
    assert work is not None
    assert work.domain == "garmin.com"
    person.worker_ends(SUCCESS)
    assert app.session(person.session_id)["status"] == "connected"


def test_only_the_ways_that_the_app_offers_are_open(app: App) -> None:
    person = app.create(methods=["import"])
    assert person.state()["methods"] == ["import"]
    assert faults(person.reply("/password", BODIES["/password"])) == [["body"]]
    person = app.create(methods=["password"])
    assert faults(person.reply("/import", {"tokens": "x"})) == [["body"]]


def test_the_session_that_nobody_has_is_ended(service: Service, person: Person) -> None:
    person.sign_in()
    account = service.sign_in()
    session = "/api/session"
    assert service.client.get(session, headers=account.headers).status_code == 200
    opened = SUCCESS.model_copy(update={"session_id": str(account.session_id)})
    person.worker_ends(opened)
    assert person.state()["status"] == "connected"
    assert service.client.get(session, headers=account.headers).status_code == 401


def test_a_challenge_that_is_gone_leads_back_to_the_beginning(person: Person) -> None:
    person.sign_in()
    person.worker_ends(CODE_REQUIRED)  # its challenge does not exist
    state = person.send_code()
    assert (state["status"], state["code"], state["step"]) == ("failed", None, None)
    assert state["error"]["code"] == "timed_out"


def test_after_a_failure_the_person_tries_again(service: Service, app: App, person: Person) -> None:
    person.sign_in()
    person.worker_ends(WRONG_PASSWORD)
    state = person.state()
    assert (state["status"], state["error"]["code"]) == ("failed", "invalid_credentials")
    assert person.sign_in()["error"] is None
    assert app.session(person.session_id)["status"] == "open"
    person.worker_ends(SUCCESS)
    assert person.state()["status"] == "connected"
    assert kinds(service) == ["connect_opened", "connect_failed", "connect_connected"]


def test_a_success_ends_the_session_and_hides_every_token(person: Person) -> None:
    person.sign_in()
    person.worker_ends(SUCCESS)
    state = person.state()
    assert state["user"] == "Anna"
    assert SUCCESS.access_token.get_secret_value() not in str(state)
    for path in STEPS:
        assert_problem(person.reply(path, BODIES.get(path)), 409, "connect_session_ended")
    assert person.state()["status"] == "connected"


def test_two_tabs_start_one_sign_in(service: Service, person: Person) -> None:
    with ThreadPoolExecutor(4) as pool:
        replies = list(
            pool.map(
                lambda number: person.reply(
                    "/password", {"username": f"{number}@example.com", "password": "x"}
                ),
                range(4),
            )
        )
    assert sorted(reply.status_code for reply in replies) == [200, 409, 409, 409]
    assert service.redis.llen("fittrack:celery:login") == 1


def test_cancelling_ends_the_session_and_is_recorded(
    service: Service, app: App, person: Person
) -> None:
    person.state()
    assert person.state("/cancel")["status"] == "cancelled"
    assert person.state("/cancel")["status"] == "cancelled"
    assert_problem(person.reply("/restart"), 409, "connect_session_ended")
    assert app.session(person.session_id)["status"] == "cancelled"
    assert kinds(service) == ["connect_opened", "connect_cancelled"]


def test_what_may_still_succeed_is_not_cancelled(person: Person) -> None:
    person.sign_in()
    assert_problem(person.reply("/cancel"), 409, "sign_in_in_progress")


def test_the_person_may_begin_again_in_place_of_a_code(person: Person) -> None:
    person.sign_in()
    person.worker_ends(CODE_REQUIRED)
    assert person.state()["status"] == "code_required"
    state = person.state("/restart")
    assert (state["status"], state["code"]) == ("open", None)


def test_a_refused_submission_leaves_the_form(service: Service, person: Person) -> None:
    first = service.submit({"username": "busy@example.com", "password": "x"})
    reply = person.reply("/password", {"username": "busy@example.com", "password": "x"})
    assert_problem(reply, 409, "sign_in_in_progress")
    assert person.state()["step"] is None
    service.jobs.end(service.claim(first), WRONG_PASSWORD)
    assert person.sign_in("busy@example.com")["step"] is not None


@pytest.mark.parametrize("body", [{"username": "a", "password": "x"}, {"password": "x"}, {}])
def test_a_form_that_is_not_filled_in_is_refused(person: Person, body: dict[str, str]) -> None:
    assert faults(person.reply("/password", body))


def test_a_job_that_is_gone_ended_if_the_database_has_its_connection(
    service: Service, app: App, person: Person
) -> None:
    person.sign_in()
    claim = person.claim()
    service.redis.delete(f"fittrack:job:{claim.job_id}")
    assert person.state()["step"]["stage"] == "waiting_for_worker"  # it may not be there yet
    age(service, person)
    account = service.sign_in(origin=claim.origin)
    shown = app.session(person.session_id)
    assert (shown["status"], shown["user"]["id"]) == ("connected", str(account.user_id))
    assert UUID(shown["id"])


def test_a_job_that_is_gone_without_a_connection_was_interrupted(
    service: Service, app: App, person: Person
) -> None:
    person.sign_in()
    service.redis.delete(f"fittrack:job:{person.claim().job_id}")
    age(service, person)
    assert person.state()["error"]["code"] == "interrupted"
    assert app.session(person.session_id)["status"] == "failed"


def age(service: Service, person: Person, seconds: int = 60) -> None:
    """Move everything that the session remembers into the past."""

    def older(kept: Kept) -> tuple[ConnectSession, None]:
        session, by = kept.session, seconds * 1000
        changes: dict[str, object] = {"created_at": session.created_at - by}
        if session.attempt is not None:
            at = session.attempt.submitted_at - by
            changes["attempt"] = session.attempt.model_copy(update={"submitted_at": at})
        if session.code is not None:
            at = session.code.expires_at - by
            changes["code"] = session.code.model_copy(update={"expires_at": at})
        return session.model_copy(update=changes), None

    service.connect.update(service.connect.read(person.session_id), older)


def _remove(app: App) -> None:
    of_app = delete(ApiClient).where(ApiClient.id == app.client_id)
    app.service.database.run(lambda session: session.execute(of_app))


def _revoke(app: App) -> None:
    of_app = update(ApiClient).where(ApiClient.id == app.client_id)
    app.service.database.run(lambda s: s.execute(of_app.values(scopes="connections,tokens")))


@pytest.mark.parametrize("stop", [_remove, _revoke])
def test_no_password_is_taken_for_an_app_that_may_not_sign_in_any_more(
    app: App, person: Person, stop: Callable[[App], None]
) -> None:
    stop(app)
    assert_problem(person.reply("/password", BODIES["/password"]), 409, "connect_session_ended")
    state = person.state()
    assert (state["status"], state["step"]) == ("cancelled", None)


def test_a_session_nobody_uses_expires(service: Service, app: App, person: Person) -> None:
    age(service, person, 15 * 60)
    assert person.state()["status"] == "expired"
    assert_problem(person.reply("/password", BODIES["/password"]), 409, "connect_session_ended")
    assert app.session(person.session_id)["status"] == "expired"


def test_an_open_challenge_keeps_the_session_alive(service: Service, person: Person) -> None:
    age(service, person, 14 * 60)
    person.sign_in()
    expires_at = datetime.now(UTC) + timedelta(minutes=10)
    person.worker_ends(CODE_REQUIRED.model_copy(update={"expires_at": expires_at}))
    person.state()
    age(service, person, 5 * 60)
    assert person.state()["status"] == "code_required"
    age(service, person, 10 * 60)
    assert person.state()["status"] == "failed"
