"""GET /: what a person sees who opens the service in a browser."""

import re
from importlib.metadata import version

import pytest

from tests.api.service import Service


def test_the_page_leads_to_the_documentation(service: Service) -> None:
    reply = service.client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/html")
    assert 'href="/docs"' in reply.text
    assert f"Version {version('fittrack-auth')}" in reply.text


def test_the_page_needs_nothing_but_this_host(service: Service) -> None:
    page = service.client.get("/")
    links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    for link in set(links) - {"data:,"}:
        assert link.startswith("/")
        assert service.client.get(link).status_code == 200
    for path in ("/", "/index.css"):
        assert "//" not in service.client.get(path).text
    assert "<script" not in page.text
    assert "<style" not in page.text
    assert "style=" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "unsafe" not in policy


def test_the_style_sheet_is_served_as_one(service: Service) -> None:
    reply = service.client.get("/index.css")
    assert reply.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in reply.text


@pytest.mark.parametrize("accept", ["application/json", "application/json, */*;q=0.1"])
def test_a_program_gets_json(service: Service, accept: str) -> None:
    reply = service.client.get("/", headers={"Accept": accept})
    assert reply.headers["vary"] == "Accept"
    assert reply.json() == {
        "name": "FitTrack Auth",
        "version": version("fittrack-auth"),
        "documentation": "/docs",
        "openapi": "/openapi.json",
    }
