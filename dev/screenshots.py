"""`make screenshots`: the connect page at every step, in every language, into docs/screenshots/.

One picture for each language, width and colour scheme, with the steps side by side. Needs Chromium,
and a font with Japanese and Chinese characters (on Debian, fonts-noto-cjk).
"""

import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from api.connect.languages import LANGUAGES
from dev.browser import NoBrowserError, chromium
from dev.embedded import embedded_stack
from dev.operator import admin
from dev.processes import ROOT, interrupt_on_signals
from dev.simulator import PASSWORD, Simulator
from dev.stack import LIMITS_OFF, Stack, new_key
from fittrack_auth_client import FitTrackAuth

FOLDER = ROOT / "docs" / "screenshots"
WIDTHS = (320, 1280)
SCHEMES = ("light", "dark")
_HEIGHTS = {320: 640, 1280: 700}
_QUALITY = 60
"""Of JPEG: text stays readable, and a sheet is a third of what it is as PNG."""

_SHOWN = {320: 256, 1280: 560}
"""How wide a step is in the picture."""

_SHEET = """<!doctype html><style>
body {{ margin: 0; padding: 16px; display: flex; flex-wrap: wrap; gap: 16px; width: {width}px;
  align-items: flex-start; background: #888; font: 14px sans-serif; }}
figure {{ margin: 0; }} figcaption {{ color: #fff; padding-bottom: 4px; }}
img {{ display: block; width: {shown}px; }}
</style>{figures}"""


def main() -> int:
    interrupt_on_signals()
    FOLDER.mkdir(exist_ok=True)
    settings = LIMITS_OFF | {"FITTRACK_ENCRYPTION_KEYS": new_key("screenshots")}
    try:
        with (
            tempfile.TemporaryDirectory(
                prefix="fittrack-screenshots-", ignore_cleanup_errors=True
            ) as folder,
            Simulator() as garmin,
            embedded_stack(Path(folder), settings, garmin.environment) as stack,
            chromium() as browser,
        ):
            take_all(browser, stack, garmin)
    except NoBrowserError as error:
        print(f"make screenshots: {error}", file=sys.stderr)
        return 1
    return 0


def take_all(browser: Browser, stack: Stack, garmin: Simulator) -> None:
    options = ("--display-name", "Morning Runs", "--accent", "#0b6e4f")
    key = admin(stack, "clients", "add", "morning-runs", *options).split()[-1]
    auth = FitTrackAuth(stack.url, client_key=key)
    take_picture(browser, auth)
    for language in LANGUAGES:
        shots = Shots(browser, auth, garmin, language)
        shots.take_steps()
        for width in WIDTHS:
            for scheme in SCHEMES:
                path = FOLDER / f"{language}-{width}-{scheme}.jpeg"
                sheet(browser, shots.taken[width, scheme], width, path)
                print(path.relative_to(ROOT), flush=True)


def take_picture(browser: Browser, auth: FitTrackAuth) -> None:
    """The one for README: how it begins."""
    with browser.new_context(locale="en", viewport={"width": 560, "height": 640}) as context:
        page = context.new_page()
        page.goto(auth.create_connect_session("member-1").url)
        at(page, "start")
        page.screenshot(path=FOLDER / "connect-page.png", full_page=True)


@dataclass
class Shots:
    """The pictures of one language: for each width and scheme, those of each step."""

    browser: Browser
    auth: FitTrackAuth
    garmin: Simulator
    language: str
    taken: dict[tuple[int, str], list[tuple[str, bytes]]] = field(
        default_factory=lambda: {(width, scheme): [] for width in WIDTHS for scheme in SCHEMES}
    )

    def take_steps(self) -> None:
        for steps in (self._code, self._refusals, self._other_ways, self._ends):
            with self.browser.new_context(locale=self.language) as context:
                page = context.new_page()
                for name in steps(page):
                    self._take(page, name)

    def _code(self, page: Page) -> Iterator[str]:
        username = f"email-{self.language.lower()}@example.com"
        self._open(page)
        yield "start"
        sign_in(page, username, "not it")
        expect(page.locator("#password-error")).to_be_visible()
        yield "a wrong password"
        self.garmin.configure(latency_ms=2500)
        sign_in(page, username)
        at(page, "progress")
        yield "progress"
        self.garmin.configure(latency_ms=0)
        at(page, "code")
        yield "code"
        code = self.garmin.code(username)
        enter(page, "000000" if code != "000000" else "111111")
        expect(page.locator("#code-error")).to_be_visible(timeout=30_000)
        yield "a wrong code"
        enter(page, code)
        at(page, "connected")
        yield "connected"

    def _refusals(self, page: Page) -> Iterator[str]:
        for word in ("locked", "captcha", "consent", "down"):
            self._open(page)
            sign_in(page, f"{word}-{self.language.lower()}@example.com")
            expect(page.locator("#start-error")).to_be_visible(timeout=30_000)
            yield f"refused: {word}"

    def _other_ways(self, page: Page) -> Iterator[str]:
        for method in ("personal_api_key", "import"):
            self._open(page, methods=[method, "password"])
            yield f"with {method}"

    def _ends(self, page: Page) -> Iterator[str]:
        self._open(page)
        page.locator("[data-for=start] [data-action=cancel]").click()
        at(page, "cancelled")
        yield "cancelled"
        page.goto("about:blank")
        page.goto(self.auth.create_connect_session("member-1").url[:-3])
        at(page, "invalid")
        yield "a broken link"

    def _open(self, page: Page, methods: list[str] | None = None) -> None:
        session = self.auth.create_connect_session(
            "member-1", locale=self.language, methods=methods
        )
        page.goto("about:blank")
        page.goto(session.url)
        at(page, "start")

    def _take(self, page: Page, name: str) -> None:
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": _HEIGHTS[width]})
            for scheme in SCHEMES:
                page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                shot = page.screenshot(full_page=True, animations="disabled")
                self.taken[width, scheme].append((name, shot))


def at(page: Page, step: str) -> None:
    expect(page.locator("#connect")).to_have_attribute("data-step", step, timeout=30_000)


def sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    page.locator("#username").fill(username)
    page.locator("#password").fill(password)
    page.locator("#password-form [type=submit]").click()


def enter(page: Page, code: str) -> None:
    page.locator("#code").fill(code)
    page.locator("#code-form [type=submit]").click()


def sheet(browser: Browser, shots: list[tuple[str, bytes]], width: int, path: Path) -> None:
    """Put the pictures of all steps into one file."""
    figures = "".join(
        f"<figure><figcaption>{escape(name)}</figcaption>"
        f'<img src="data:image/png;base64,{b64encode(shot).decode()}"></figure>'
        for name, shot in shots
    )
    columns, shown = (7, _SHOWN[width]) if width == min(WIDTHS) else (4, _SHOWN[width])
    html = _SHEET.format(width=columns * (shown + 16) - 16, shown=shown, figures=figures)
    with browser.new_context(viewport={"width": columns * (shown + 16) + 16, "height": 600}) as c:
        page = c.new_page()
        page.set_content(html)
        page.screenshot(path=path, type="jpeg", quality=_QUALITY, full_page=True)


if __name__ == "__main__":
    sys.exit(main())
