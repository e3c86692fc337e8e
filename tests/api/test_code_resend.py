"""POST /api/garmin/login/mfa-resend, and the same from the connect page."""

from shared.accounts.clients import ClientRepository
from shared.origin import Origin
from tests.api.connecting import App, Person, resendable_challenge
from tests.api.problems import assert_problem
from tests.api.service import CODE, Job, Service
from tests.programs import TIMINGS
from tests.shared.jobs.outcomes import CODE_REQUIRED

RESEND = "/api/garmin/login/mfa-resend"


def test_a_code_is_sent_again_by_a_job(service: Service) -> None:
    challenge_id = resendable_challenge(service).challenge_id.get_secret_value()
    reply = service.client.post(RESEND, json={"challenge_id": challenge_id})
    assert reply.status_code == 202, reply.text
    job = Job(reply.json()["job_id"], reply.json()["poll_token"])
    asked = CODE_REQUIRED.model_copy(update={"can_resend": True})
    service.jobs.end(service.claim(job), asked)
    state = service.poll(job).json()
    assert (state["kind"], state["status"]) == ("code_resend", "mfa_required")


def test_not_within_the_pause_that_garmin_wants(service: Service) -> None:
    challenge_id = resendable_challenge(service, ago=0).challenge_id.get_secret_value()
    reply = service.client.post(RESEND, json={"challenge_id": challenge_id})
    assert_problem(reply, 409, "resend_not_possible")
    assert 0 < int(reply.headers["retry-after"]) <= TIMINGS.resend_pause
    taken = service.client.post(CODE, json={"challenge_id": challenge_id, "mfa_code": "123456"})
    assert taken.status_code == 202  # it was not left reserved


def test_not_where_the_flow_has_no_such_request(service: Service) -> None:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    reply = service.client.post(RESEND, json={"challenge_id": challenge_id})
    assert_problem(reply, 409, "resend_not_possible")
    assert "retry-after" not in reply.headers


def test_only_for_an_open_challenge_of_the_same_app(service: Service) -> None:
    unknown = service.client.post(RESEND, json={"challenge_id": "x" * 43})
    assert_problem(unknown, 404, "challenge_not_found")
    client, key = service.database.run(lambda session: ClientRepository(session).add("mine"))
    origin = Origin(client_id=client.client_id)
    challenge = resendable_challenge(service, origin)
    body = {"challenge_id": challenge.challenge_id.get_secret_value()}
    assert_problem(service.client.post(RESEND, json=body), 404, "challenge_not_found")
    headers = {"X-Client-Key": key}
    assert service.client.post(RESEND, json=body, headers=headers).status_code == 202
    busy = service.client.post(RESEND, json=body, headers=headers)
    assert_problem(busy, 409, "challenge_busy")


def test_the_connect_page_offers_it_after_the_pause(service: Service) -> None:
    person = App.add(service).create()
    until_code(service, person, ago=0)
    state = person.state()
    assert 0 < state["code"]["resend_in"] <= TIMINGS.resend_pause
    assert_problem(person.reply("/resend"), 409, "resend_not_possible")
    assert person.state()["status"] == "code_required"

    person = App.add(service).create()
    until_code(service, person)
    person.state()
    assert person.state("/resend")["step"]["kind"] == "code_resend"
    person.worker_ends(CODE_REQUIRED.model_copy(update={"can_resend": True}))
    state = person.state()
    assert (state["status"], state["error"]) == ("code_required", None)
    assert 0 < state["code"]["resend_in"] <= TIMINGS.resend_pause


def until_code(service: Service, person: Person, ago: int = 31) -> None:
    person.sign_in()
    claim = person.claim()
    challenge = resendable_challenge(service, claim.origin, ago)
    asked = {"challenge_id": challenge.challenge_id, "can_resend": True}
    service.jobs.end(claim, CODE_REQUIRED.model_copy(update=asked))
