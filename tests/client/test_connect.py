"""Connect sessions and codes that are sent again, with both clients against the API itself."""

import pytest

from fittrack_auth_client import (
    ConnectSessionNotFoundError,
    InvalidRequestError,
    ResendNotPossibleError,
)
from tests.api.connecting import APP, App, Person
from tests.api.service import Service
from tests.client.clients import Connect
from tests.shared.jobs.outcomes import REFUSED, SUCCESS


def test_an_app_sends_a_person_to_connect_and_learns_that_they_have(
    service: Service, connect: Connect
) -> None:
    auth = connect(service.stack.url, client_key=App.add(service).key)
    created = auth.create_connect_session(
        "member-1", return_url=f"{APP}/settings", locale="fr", methods=["password"]
    )
    assert created.url.startswith(f"{service.stack.url}/connect#")
    assert created.url not in repr(created)
    before = auth.connect_session(created.id)
    assert (before.status, before.user_id, before.user) == ("open", "member-1", None)

    person = Person(service, created.id, created.url, created.url.partition("#")[2])
    person.sign_in()
    person.worker_ends(REFUSED)
    failed = auth.connect_session(created.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.code == "garmin_rate_limited"

    person.sign_in()
    person.worker_ends(SUCCESS)
    connected = auth.connect_session(created.id)
    assert connected.status == "connected"
    assert connected.user is not None
    assert connected.user.display_name == "Anna"


def test_what_can_be_wrong_with_a_session_is_an_error_of_its_own(
    service: Service, connect: Connect
) -> None:
    auth = connect(service.stack.url, client_key=App.add(service).key)
    with pytest.raises(InvalidRequestError):
        auth.create_connect_session("member-1", embed_origin="https://elsewhere.example")
    with pytest.raises(ConnectSessionNotFoundError):
        auth.connect_session("0b6d5d0e-6e0e-4a53-9a3e-4f5b1c0f7a11")


def test_a_code_that_can_not_be_sent_again_is_an_error_of_its_own(
    service: Service, connect: Connect
) -> None:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    with pytest.raises(ResendNotPossibleError):
        connect(service.stack.url).resend_code(challenge_id)
