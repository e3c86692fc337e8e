"""A person in front of the connect page, and the app that sent them there."""

import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Frame, Locator, Page, expect
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from dev.simulator import PASSWORD, Simulator
from dev.stack import Stack
from shared.accounts.appearance import Appearance
from shared.accounts.clients import ClientRepository
from tests.end_to_end.browser.watch import Watch

PATIENCE = 30_000
"""How long a step may take, in ms."""

_SESSIONS = "/api/connect-sessions"


@dataclass(frozen=True)
class App:
    """An app that is registered at the service."""

    stack: Stack
    key: str

    @classmethod
    def add(cls, stack: Stack, *origins: str) -> "App":
        engine = create_engine(stack.settings["FITTRACK_DATABASE_URL"])
        appearance = Appearance.of("Morning Runs", "#0b6e4f", origins)
        with Session(engine) as session, session.begin():
            _, key = ClientRepository(session).add(uuid.uuid4().hex[:16], appearance=appearance)
        engine.dispose()
        return cls(stack, key)

    def create_session(self, **wish: Any) -> dict[str, Any]:  # noqa: ANN401
        body = {"user_id": "member-1", **wish}
        return self._request("POST", _SESSIONS, body)

    def session(self, session_id: str) -> dict[str, Any]:
        """What the app believes: the page is never asked."""
        return self._request("GET", f"{_SESSIONS}/{session_id}")

    def _request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:  # noqa: ANN401
        headers, url = {"X-Client-Key": self.key}, self.stack.url + path
        reply = httpx.request(
            method, url, json=body, headers=headers, trust_env=False, timeout=30
        ).raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer


@dataclass
class Person:
    """`page` is the connect page itself, or the frame that it is in."""

    page: Page | Frame
    app: App
    garmin: Simulator
    watch: Watch
    session_id: str = ""
    url: str = ""
    secrets: set[str] = field(default_factory=lambda: {PASSWORD})

    def opens(self, **wish: Any) -> None:  # noqa: ANN401
        """Follow the link that the app has got for them."""
        self.gets_link(**wish)
        self.page.goto(self.url)
        self.is_at("start")

    def gets_link(self, **wish: Any) -> None:  # noqa: ANN401
        created = self.app.create_session(**wish)
        self.session_id, self.url = created["id"], created["url"]
        self.secrets.add(self.url.partition("#")[2])

    def is_at(self, step: str) -> None:
        expect(self.element("#connect")).to_have_attribute("data-step", step, timeout=PATIENCE)

    def signs_in(self, username: str, password: str = PASSWORD) -> None:
        self.element("#username").fill(username)
        self.element("#password").fill(password)
        self.presses("Connect")

    def gets_code(self, username: str) -> str:
        self.is_at("code")
        code = self.garmin.code(username)
        self.secrets.add(code)
        return code

    def enters(self, code: str) -> None:
        self.element("#code").fill(code)
        self.presses("Continue")

    def presses(self, name: str, seconds: float = 30) -> None:
        """Press a button, once it can be pressed."""
        self.page.get_by_role("button", name=name, exact=True).click(timeout=1000 * seconds)

    def reads(self, text: str) -> None:
        expect(self.page.get_by_text(text).filter(visible=True).first).to_be_visible()

    def is_told(self, place: str, code: str) -> Locator:
        """An error's sentence stands at this place, and a screen reader says it."""
        error = self.element(f"#{place}-error")
        expect(error).to_have_attribute("data-code", code, timeout=PATIENCE)
        expect(error).to_be_visible()
        expect(error).to_have_attribute("role", "alert")
        expect(error).to_have_text(re.compile(r"\w.*\."))
        return error

    def element(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def status(self) -> str:
        status: str = self.app.session(self.session_id)["status"]
        return status

    def check_accessibility(self, *schemes: str) -> None:
        """axe-core finds nothing, at 320 px and at 1280 px."""
        assert isinstance(self.page, Page)
        for scheme in schemes or ("light", "dark"):
            self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            for width in (320, 1280):
                self.page.set_viewport_size({"width": width, "height": 800})
                found = Axe().run(self.page)
                assert found.violations_count == 0, found.generate_report()
                assert self.page.evaluate("document.documentElement.scrollWidth") <= width

    def leaves_nothing(self) -> None:
        """No fault was seen, and no secret is left anywhere."""
        assert self.watch.faults == []
        if isinstance(self.page, Page) and not self.page.is_closed():
            assert self.watch.secrets_kept(self.page, self.secrets) == []
        for log in Path(self.app.stack.folder).glob("*.log"):
            text = log.read_text(errors="replace")
            assert [secret for secret in self.secrets if secret in text] == [], log
