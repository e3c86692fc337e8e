"""What stands on every reply, and what only where the operator wants it."""

from pathlib import Path

import pytest
from uvicorn.config import HTTPProtocolType

from tests.api.service import CREDENTIALS, LOGIN, Service, in_process, settings

ORIGIN = "https://app.example.com"


def test_no_response_may_be_cached_or_sniffed(service: Service) -> None:
    replies = [
        service.client.get("/healthz"),
        service.client.get("/nowhere"),
        service.client.post(LOGIN, json={}),
        service.poll(service.submit()),
    ]
    for reply in replies:
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]


def test_pages_have_a_policy_without_inline_scripts(service: Service) -> None:
    policy = service.client.get("/docs").headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("implementation", ["h11", "auto"])
def test_no_response_names_the_server(
    tmp_path: Path, real_redis_url: str, implementation: HTTPProtocolType
) -> None:
    with in_process(settings(real_redis_url, tmp_path), implementation) as client:
        for path in ("/healthz", "/nowhere", "/docs"):
            assert "server" not in client.get(path).headers


def test_other_origins_get_no_cors_headers(service: Service) -> None:
    reply = service.client.get("/healthz", headers={"Origin": ORIGIN})
    preflight = service.client.options(
        LOGIN, headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    )
    for response in (reply, preflight):
        assert not [name for name in response.headers if name.startswith("access-control-")]


def test_configured_origins_may_use_the_api(tmp_path: Path, real_redis_url: str) -> None:
    named = {"FITTRACK_CORS_ORIGINS": f"{ORIGIN}, https://other.example.com:8443"}
    with in_process(settings(real_redis_url, tmp_path) | named) as client:
        wanted = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,idempotency-key",
        }
        preflight = client.options(LOGIN, headers=wanted)
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
        reply = client.post(LOGIN, json=CREDENTIALS, headers={"Origin": ORIGIN})
        assert reply.status_code == 202
        assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Location" in reply.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in reply.headers
        refused = client.post(LOGIN, json={}, headers={"Origin": ORIGIN})
        assert refused.headers["Access-Control-Allow-Origin"] == ORIGIN
        stranger = client.get("/healthz", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in stranger.headers
