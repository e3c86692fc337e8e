"""Requests that are refused, with a secret in every place that a request has."""

import secrets
import socket
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx

from tests.end_to_end.client import Json
from tests.end_to_end.watched import CODE, LOGIN, WatchedClient

A_WORD = "a word in the path or the method"
"""A kind of secret that looks like none, where nobody is asked to put one."""

_REFUSALS = {400, 401, 404, 405, 413, 415, 422}

Canary = Callable[[str], str]


def ask_wrongly(client: WatchedClient, signed_in: Json, job: Json, client_key: str) -> None:
    """`signed_in` is somebody who is; `job` one that can be polled; `client_key` an app's."""

    def canary(kind: str) -> str:
        return client.note(kind, f"CANARY-{secrets.token_hex(8).upper()}")

    replies = [client.http.post(path, json=body) for path, body in _bodies(canary)]
    for content, content_type in _contents(canary):
        headers = {"Content-Type": content_type}
        replies.append(client.http.post(LOGIN, content=content, headers=headers))
    for headers, body in _submissions(canary, signed_in, client_key):
        replies.append(client.http.post(LOGIN, json=body, headers=headers))
    everything = [*_bearers(canary, signed_in, job, client_key), *_headers(canary, client_key)]
    for method, path, headers in everything:
        replies.append(client.http.request(method, path, headers=headers))
    replies += [client.http.request(method, url) for method, url in _urls(canary, job)]
    assert all(400 <= reply.status_code < 500 for reply in replies), replies
    assert {reply.status_code for reply in replies} >= _REFUSALS
    assert b" 400 " in _speak_no_http(client.http.base_url, canary("header"))


def _bodies(canary: Canary) -> list[tuple[str, Any]]:
    username, password, code = (canary(kind) for kind in ("username", "password", "code"))
    challenge_id = canary("challenge id")
    login = {"username": username, "password": password}
    return [
        (LOGIN, login | {"domain": canary("unknown value")}),
        (LOGIN, login | {canary("unknown field"): canary("unknown value")}),
        (LOGIN, login | {"user_id": canary("unknown value")}),
        (LOGIN, {"username": [username], "password": {password: password}}),
        (LOGIN, {"username": username * 30, "password": password * 30}),
        (LOGIN, {"username": f"{username}\n", "password": f"{password}\0"}),
        (LOGIN, [username, password]),
        (LOGIN, username),
        (CODE, {"challenge_id": challenge_id, "mfa_code": "KNOWNLIKE"}),
        (CODE, {"challenge_id": challenge_id, "mfa_code": f"{code}!"}),
        (CODE, {"challenge_id": [challenge_id], "mfa_code": {code: code}}),
        (CODE, {"challenge_id": challenge_id * 9, "mfa_code": [code]}),
    ]


def _contents(canary: Canary) -> list[tuple[str | bytes, str]]:
    username, password = canary("username"), canary("password")
    json = "application/json"
    return [
        (f'{{"username": "{username}', json),
        (f'{{"username": "{username}\\ud800", "password": "{password}"}}', json),
        (username.encode("utf-16"), json),
        (f'{{"password": "{password * 1000}"}}', json),
        (f"username={username}&password={password}", "application/x-www-form-urlencoded"),
        (password, f"application/{canary('header')}"),
    ]


def _submissions(
    canary: Canary, signed_in: Json, client_key: str
) -> list[tuple[dict[str, str], Json]]:
    """Headers and bodies of logins that would be good ones if their headers were."""
    login = {"username": canary("username"), "password": canary("password")}
    user_id = canary("unknown value")
    return [
        ({"Idempotency-Key": f"{canary('idempotency key')} {canary('idempotency key')}"}, login),
        ({"Idempotency-Key": canary("idempotency key") * 20}, login),
        ({"X-Client-Key": canary("client key")}, login | {"user_id": user_id}),
        ({"X-Client-Key": canary("client key") * 20}, login),
        ({"X-Client-Key": signed_in["access_token"]}, login),
        ({"X-Client-Key": client_key}, login | {"user_id": f"{user_id}\n"}),
        ({"X-Client-Key": client_key}, login | {"user_id": user_id * 9}),
    ]


def _bearers(
    canary: Canary, signed_in: Json, job: Json, client_key: str
) -> list[tuple[str, str, dict[str, str]]]:
    """Tokens that are wrong, and right ones in the wrong place."""
    access = f"Bearer {signed_in['access_token']}"
    poll = f"Bearer {job['poll_token']}"
    basic = b64encode(f"{canary('username')}:{canary('password')}".encode()).decode()
    unknown_job = "/api/jobs/00000000-0000-4000-8000-000000000000"
    return [
        ("GET", job["status_url"], {"Authorization": f"Bearer {canary('poll token')}"}),
        ("GET", job["status_url"], {"Authorization": access}),
        ("GET", job["status_url"], {"Authorization": f"Basic {basic}"}),
        ("GET", job["status_url"], {"Authorization": f"Bearer {client_key}"}),
        ("GET", f"{job['status_url']}?wait=31", {"Authorization": poll}),
        ("GET", unknown_job, {"Authorization": poll}),
        ("GET", "/api/session", {"Authorization": poll}),
        ("GET", "/api/session", {"Authorization": f"Bearer {client_key}"}),
        ("GET", "/api/session", {"Authorization": f"Bearer {canary('access token')}"}),
        ("DELETE", "/api/session", {"Authorization": f"Bearer {canary('access token')}"}),
        ("DELETE", "/api/sessions", {"Authorization": canary("access token")}),
        ("DELETE", "/api/garmin/tokens", {"Authorization": f"Bearer {canary('access token')}"}),
        ("GET", "/api/session", {"Authorization": f"Bearer {canary('access token') * 20}"}),
    ]


def _headers(canary: Canary, client_key: str) -> list[tuple[str, str, dict[str, str]]]:
    """Keys for links that are not there, and headers nobody asked for."""
    names = ("Cookie", "User-Agent", "X-Api-Key", "X-Client-Key", "Idempotency-Key", "Referer")
    links = f"/api/users/{canary('user id')}%40example.com/garmin"
    return [
        ("GET", links, {"X-Client-Key": client_key}),
        ("PUT", links, {"X-Client-Key": client_key}),
        ("DELETE", links, {"X-Client-Key": canary("client key")}),
        ("GET", links, {"Authorization": f"Bearer {client_key}"}),
        ("GET", "/nothing/here", {name: canary("header") for name in names}),
        ("GET", "/nothing/here", {"X-Request-Id": f"{canary('header')} {canary('header')}"}),
        ("GET", "/nothing/here", {"X-Request-Id": client_key}),
        ("POST", LOGIN, {"Origin": f"https://{canary('header')}.example.com"}),
        (canary(A_WORD), LOGIN, {}),
    ]


def _urls(canary: Canary, job: Json) -> list[tuple[str, str]]:
    address = f"{canary('username')}@example.com"
    return [
        ("GET", f"/{canary(A_WORD)}"),
        ("POST", f"{LOGIN}/{canary(A_WORD)}"),
        ("GET", f"/api/jobs/{job['poll_token']}"),
        ("GET", f"/api/jobs/{job['poll_token']}?wait={canary('poll token')}"),
        ("GET", f"/{address}/{quote(address)}"),
        ("GET", f"{job['status_url']}?poll_token={canary('poll token')}"),
        ("GET", f"/api/session?access_token={canary('access token')}"),
        ("DELETE", f"/api/garmin/tokens?{canary('client key')}"),
        ("PUT", f"{LOGIN}?username={canary('username')}&password={canary('password')}"),
    ]


def _speak_no_http(url: httpx.URL, secret: str) -> bytes:
    """What uvicorn itself answers, before any code of ours."""
    with socket.create_connection((url.host, url.port), timeout=30) as connection:
        connection.sendall(f"GET /{secret} HTTP/1.1\r\nHost {secret}\r\n\r\n".encode())
        return connection.recv(65_536)
