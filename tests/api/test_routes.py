"""What holds for every request: methods, paths, headers."""

import pytest

from tests.api.problems import assert_problem
from tests.api.service import CODE, CREDENTIALS, LOGIN, Service
from tests.api.wire import wire

ROUTES = {
    "/": {"GET", "HEAD"},
    LOGIN: {"POST"},
    CODE: {"POST"},
    "/api/jobs/some-job": {"GET", "HEAD", "DELETE"},
    "/api/session": {"GET", "HEAD", "DELETE"},
    "/api/sessions": {"DELETE"},
    "/healthz": {"GET", "HEAD"},
    "/readyz": {"GET", "HEAD"},
    "/metrics": {"GET", "HEAD"},
    "/openapi.json": {"GET", "HEAD"},
    "/docs": {"GET", "HEAD"},
    "/api/garmin/login/mfa-resend": {"POST"},
    "/api/connect-sessions": {"POST"},
    "/api/connect-sessions/some-session": {"GET", "HEAD"},
    "/api/connect": {"GET", "HEAD"},
    "/api/connect/password": {"POST"},
    "/api/connect/code": {"POST"},
    "/connect": {"GET", "HEAD"},
}
FILES = ("/index.css", "/docs/start.js", "/docs/style.css", "/docs/swagger-ui.css")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "INVENTED")


@pytest.mark.parametrize(
    "path", ["/api", "/api/jobs", "/api/jobs/", "/api/jobs/a/b", "/admin", "/%00", "/é", "//"]
)
def test_an_unknown_path_is_a_problem(service: Service, path: str) -> None:
    assert_problem(service.client.get(service.stack.url + path), 404, "not_found")


@pytest.mark.parametrize(("path", "allowed"), ROUTES.items())
@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_method_is_a_problem_that_names_the_allowed_ones(
    service: Service, path: str, allowed: set[str], method: str
) -> None:
    if method in allowed:
        reply = service.client.request(method, path)
        assert reply.status_code not in (404, 405) or "not with this poll token" in reply.text
        return
    reply = service.client.request(method, path)
    assert set(reply.headers["allow"].split(", ")) == allowed
    if method != "HEAD":
        assert_problem(reply, 405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/openapi.json", "/docs"])
def test_head_answers_as_get_without_the_body(service: Service, path: str) -> None:
    get, head = service.client.get(path), service.client.head(path)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("content-type", "content-length", "cache-control"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize("path", [LOGIN, CODE, "/healthz", "/api/session", "/docs"])
def test_a_trailing_slash_is_not_redirected(service: Service, path: str) -> None:
    headers = {"Host": "evil.example"}
    for method in ("GET", "POST"):
        reply = service.client.request(method, f"{path}/", json=CREDENTIALS, headers=headers)
        assert_problem(reply, 404, "not_found")
        assert "location" not in reply.headers


@pytest.mark.parametrize("host", ["evil.example", "a?b#c", "a/../b", "[::1", "x:y:z", "é"])
def test_no_response_depends_on_the_host_header(service: Service, host: str) -> None:
    with wire(service.stack.port) as connection:
        lines = ["GET /docs/swagger-ui.css HTTP/1.1", f"Host: {host}", "", ""]
        connection.send("\r\n".join(lines).encode())
        reply = connection.reply()
    assert reply.status_code in (200, 400)
    assert "evil" not in str(reply.headers)


@pytest.mark.parametrize(
    "path",
    [*ROUTES, "/none", "/index.css", "/docs/start.js", "/docs/style.css", "/docs/swagger-ui.css"],
)
def test_every_response_has_security_headers(service: Service, path: str) -> None:
    headers = service.client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "no-store" in headers["cache-control"] or path.startswith("/docs/swagger")
    assert "server" not in headers
    assert "set-cookie" not in headers
    assert not [name for name in headers if name.startswith("access-control-")]


def test_an_accepted_sign_in_is_not_cached(service: Service) -> None:
    reply = service.client.post(LOGIN, json=CREDENTIALS)
    assert (reply.status_code, reply.headers["cache-control"]) == (202, "no-store")
