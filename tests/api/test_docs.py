"""GET /docs: a page that needs no other host."""

import re
from html.parser import HTMLParser

import pytest

from tests.api.service import Service


class Page(HTMLParser):
    """What a page refers to, and the scripts and styles it holds itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.inline: list[str] = []
        self.handlers: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for name, value in attrs:
            if name in ("src", "href", "action", "srcset", "poster", "data"):
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.inline.append(data)


@pytest.fixture(scope="module")
def page(running_service: Service) -> Page:
    reply = running_service.client.get("/docs")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/html")
    return Page(reply.text)


def test_the_page_and_its_script_name_no_other_host(service: Service) -> None:
    for path in ("/docs", "/docs/start.js"):
        text = service.client.get(path).text
        assert re.findall(r"//[\w.-]+", text) == []


def test_everything_the_page_loads_comes_from_the_api(service: Service, page: Page) -> None:
    links = [link for link in page.links if not link.startswith("data:,")]
    assert len(links) >= 3
    assert all(re.fullmatch(r"/\w[\w./-]*", link) for link in links)
    types = {"js": "text/javascript", "css": "text/css"}
    for link in links:
        reply = service.client.get(link)
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith(types[link.rpartition(".")[2]])
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.content


def test_the_page_shows_the_document_of_this_api(service: Service) -> None:
    start = service.client.get("/docs/start.js").text
    assert 'url: "/openapi.json"' in start
    assert "SwaggerUIBundle(" in start
    assert "SwaggerUIBundle" in service.client.get("/docs/swagger-ui-bundle.js").text
    assert "validatorUrl: null" in start


def test_the_page_has_no_inline_scripts_or_styles(page: Page) -> None:
    assert (page.inline, page.handlers) == ([], [])


def test_the_page_policy_allows_only_this_host(service: Service) -> None:
    policy = {
        name: values.split()
        for name, _, values in (
            part.strip().partition(" ")
            for part in service.client.get("/docs").headers["content-security-policy"].split(";")
        )
    }
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]
    assert policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'none'"]
    sources = {source for values in policy.values() for source in values}
    assert sources <= {"'none'", "'self'", "'unsafe-inline'", "data:"}


@pytest.mark.parametrize(
    "path",
    [
        "/docs/other.js",
        "/docs/__init__.py",
        "/docs/..%2fmain.py",
        "/docs/%2e%2e/%2e%2e/pyproject.toml",
        "/docs/redoc.js",
    ],
)
def test_no_other_file_is_served(service: Service, path: str) -> None:
    assert service.client.get(path).status_code == 404
