"""An app that embeds the service, the people it links, and what their operator looks at."""

import hashlib
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


def use_tokens(flows: Flows) -> None:
    """Get access tokens, have them refreshed, and lose the connection at Garmin."""
    client, key = flows.client, flows.new_client_key("add", "user")
    user_id, username = member(), person("ticket401-plain")
    login = {"username": username, "password": PASSWORD, "user_id": user_id}
    job = client.http.post(LOGIN, json=login, headers={"X-Client-Key": key}).json()
    signed_in = client.wait(job)
    first = token_of(client, key, user_id, 200)["access_token"]
    renewed = token_of(client, key, user_id, 200, rejected=sha256(first))["access_token"]
    assert renewed != first
    own = client.http.post("/api/garmin/token", headers=bearer(signed_in))
    assert own.json()["access_token"] == renewed
    token_of(client, token(), user_id, 401)
    token_of(client, key, member(), 404)
    flows.admin("clients", "revoke", "user", "tokens")
    token_of(client, key, user_id, 403)
    flows.admin("clients", "grant", "user", "tokens")
    flows.garmin.revoke_tokens(username)
    token_of(client, key, user_id, 409, rejected=sha256(renewed))


def token_of(client: WatchedClient, key: str, user_id: str, status: int, **body: str) -> Json:
    headers, wait = {"X-Client-Key": key}, {"wait": 30}
    reply = client.http.post(f"{link(user_id)}/token", params=wait, headers=headers, json=body)
    assert reply.status_code == status, reply.text
    told: Json = reply.json()
    return told


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def bearer(signed_in: Json) -> dict[str, str]:
    return {"Authorization": f"Bearer {signed_in['access_token']}"}


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
    return client.http.get("/api/session", headers=bearer(signed_in)).status_code
