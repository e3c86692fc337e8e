"""An app that embeds the service, the people it links, and what their operator looks at."""

import secrets
from urllib.parse import quote

from dev.simulator import PASSWORD
from tests.end_to_end.client import Json
from tests.end_to_end.flows import Flows
from tests.end_to_end.watched import (
    CODE,
    LOGIN,
    WatchedClient,
    member,
    person,
    token,
    wrong_code,
    wrong_password,
)


def come_and_go(flows: Flows) -> None:
    """Everything that an app and its operator do, until it is removed; another one stays."""
    void = flows.new_client_key("add", "app")
    key, other = flows.new_client_key("renew", "app"), flows.new_client_key("add", "other")
    flows.admin("clients", "add", "app", ends=1)

    flows.new_webhook_secret("add", "app", "http://127.0.0.1:9/hooks")
    flows.new_webhook_secret("rotate", "app")

    user_id, username = member(), person("email")
    signed_in = sign_in(flows, key, username, user_id)
    look_up(flows.client, user_id, {key: 200, other: 404, void: 401, token(): 401})
    unlink(flows.client, key, user_id, signed_in)

    user_id = member()
    signed_in = sign_in(flows, key, username, user_id)
    flows.admin("clients", "list")
    flows.admin("webhooks", "deliveries", "app")
    flows.admin("clients", "remove", "app")
    assert session_status(flows.client, signed_in) == 401
    look_up(flows.client, user_id, {key: 401, other: 404})
    look_at_the_audit_log(flows, username, signed_in)
    sign_in(flows, other, person("sms"), member())


def sign_in(flows: Flows, key: str, username: str, user_id: str) -> Json:
    """With a code, for an id of the app's. Each submission is sent twice."""
    client = flows.client
    login = {"username": username, "password": PASSWORD, "user_id": user_id}
    asked = client.wait(submit_twice(client, key, LOGIN, login, {"password": wrong_password()}))
    code = {"challenge_id": asked["mfa_challenge_id"], "mfa_code": flows.garmin.code(username)}
    assert client.http.post(CODE, json=code).status_code == 404  # another app's, or nobody's
    signed_in = client.wait(submit_twice(client, key, CODE, code, {"mfa_code": wrong_code()}))
    assert signed_in["status"] == "succeeded", signed_in
    return signed_in


def submit_twice(client: WatchedClient, key: str, path: str, body: Json, changed: Json) -> Json:
    """One job, whose submission comes again, and once more with another body."""
    headers = {"X-Client-Key": key, "Idempotency-Key": f"retry-{secrets.token_hex(12)}"}
    first, again = (client.http.post(path, json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202), (first.text, again.text)
    other = client.http.post(path, json=body | changed, headers=headers)
    assert other.json()["code"] == "idempotency_key_reused", other.text
    job: Json = again.json()
    assert first.json()["poll_token"] == job["poll_token"]
    return job


def look_up(client: WatchedClient, user_id: str, answers: dict[str, int]) -> None:
    """What each key is answered about one person."""
    for key, status in answers.items():
        reply = client.http.get(link(user_id), headers={"X-Client-Key": key})
        assert reply.status_code == status, reply.text


def unlink(client: WatchedClient, key: str, user_id: str, signed_in: Json) -> None:
    headers = {"X-Client-Key": key}
    assert client.http.delete(link(user_id), headers=headers).status_code == 204
    assert client.http.delete(link(user_id), headers=headers).status_code == 404
    assert client.http.delete(link(user_id)).status_code == 401
    assert session_status(client, signed_in) == 401


def look_at_the_audit_log(flows: Flows, username: str, signed_in: Json) -> None:
    """In every way there is: of everybody, of one name, of one job."""
    told = flows.admin("events", "--json", "--limit", "100000")
    assert signed_in["job_id"] in told
    assert signed_in["job_id"] in flows.admin("events", "--username", username.title())
    assert signed_in["job_id"] in flows.admin("events", "--job", signed_in["job_id"])


def link(user_id: str) -> str:
    return f"/api/users/{quote(user_id, safe='')}/garmin"


def session_status(client: WatchedClient, signed_in: Json) -> int:
    headers = {"Authorization": f"Bearer {signed_in['access_token']}"}
    return client.http.get("/api/session", headers=headers).status_code
