"""What a browser must not do or keep, looked for while a test runs."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError

_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
"""
_KEPT = """() => [location.href, document.cookie, JSON.stringify(history.state),
  JSON.stringify({...localStorage}), JSON.stringify({...sessionStorage})]"""
_NO_FAULT = "Failed to load resource"
"""How Chromium notes each 4xx and 5xx, and each request without a network."""


class Watch:
    """`faults`: JavaScript errors, violations of the policy, requests to other hosts.

    `seen`: every address and console message of the pages.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.faults: list[str] = []
        self.seen: list[str] = []
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", self._message)
        context.on("weberror", self._error)
        context.on("request", self._request)

    def secrets_kept(self, page: Page, secrets: Iterable[str]) -> list[str]:
        """Return the secrets that stand in an address, storage, the history or the console."""
        kept = [*self.seen, *page.evaluate(_KEPT)]
        return [secret for secret in secrets if any(secret in text for text in kept)]

    def _message(self, message: ConsoleMessage) -> None:
        self.seen.append(message.text)
        if message.type in ("error", "warning") and not message.text.startswith(_NO_FAULT):
            self.faults.append(f"console: {message.text}")

    def _error(self, error: WebError) -> None:
        self.faults.append(f"JavaScript: {error.error}")

    def _request(self, request: Request) -> None:
        self.seen.append(request.url.partition("#")[0])
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob") and url.hostname not in ("127.0.0.1", "localhost"):
            self.faults.append(f"request to {url.hostname}")
