"""GET /connect: the page and its files, without a browser."""

import re

import pytest

from api.connect.page import ROUTES
from shared.connect import colours
from tests.api.connecting import APP, App
from tests.api.service import Service

PATHS = [route.path for route in ROUTES]
LIMIT = 60_000
SCRIPT_LIMIT = 5_000


def directives(policy: str) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in policy.split(";"))
    return {name: value for name, _, value in parts}


def test_the_page_may_load_from_here_alone_and_be_embedded_by_nobody(service: Service) -> None:
    reply = service.client.get("/connect")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert directives(reply.headers["content-security-policy"]) == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "data:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["cache-control"] == "no-store"
    assert "set-cookie" not in reply.headers


def test_only_the_origin_of_its_session_may_embed_the_page(service: Service) -> None:
    person = App.add(service, origins=[APP, "https://two.example"]).create(embed_origin=APP)
    reply = service.client.get(person.url.partition("#")[0])
    assert directives(reply.headers["content-security-policy"])["frame-ancestors"] == APP
    for other in ("x", "0b6d5d0e-6e0e-4a53-9a3e-4f5b1c0f7a11", "https://evil.example"):
        reply = service.client.get("/connect", params={"session": other})
        assert directives(reply.headers["content-security-policy"])["frame-ancestors"] == "'none'"


def test_an_embedded_page_speaks_the_language_of_its_session(service: Service) -> None:
    person = App.add(service).create(embed_origin=APP, locale="ja-JP")
    assert '<html lang="ja">' in service.client.get(person.url.partition("#")[0]).text


def test_nothing_is_inline_and_nothing_comes_from_elsewhere(service: Service) -> None:
    page = service.client.get("/connect").text
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL) == [""]
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    outside = {source for source in sources if ":" in source and not source.startswith("data:")}
    assert outside == {
        "https://connect.garmin.com/signin",
        "https://connect.garmin.com/forgotPassword",
    }


def test_the_page_and_its_files_are_small(service: Service) -> None:
    files = {path: service.client.get(path).content for path in PATHS}
    assert len(files.pop("/connect.js")) < SCRIPT_LIMIT
    assert sum(map(len, files.values())) < LIMIT


@pytest.mark.parametrize("path", PATHS)
def test_every_file_has_its_type(service: Service, path: str) -> None:
    reply = service.client.get(path)
    assert reply.status_code == 200
    kind = {"js": "text/javascript", "css": "text/css"}.get(path.rpartition(".")[2], "text/html")
    assert reply.headers["content-type"] == f"{kind}; charset=utf-8"
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "accent", [None, "#000000", "#ffffff", "#ffee00", "#0b62c4", "#808080", "#ff0000", "#00ff00"]
)
def test_whatever_the_accent_is_it_can_be_read(accent: str | None) -> None:
    light, dark = colours.shades(accent)
    for shade, surface in ((light, colours.LIGHT_SURFACE), (dark, colours.DARK_SURFACE)):
        assert colours.contrast(shade.accent, surface) >= colours.ENOUGH
        assert colours.contrast(shade.accent, shade.on_accent) >= colours.ENOUGH


def test_an_accent_that_can_be_read_stays_as_it_is() -> None:
    light, dark = colours.shades("#0b62c4")
    assert (light.accent, light.on_accent) == ("#0b62c4", "#ffffff")
    assert dark.accent != "#0b62c4"
    assert colours.contrast("#000000", "#ffffff") == pytest.approx(21)
