"""Every secret this Garmin has handed out: what a test looks for where it must not be."""

from collections.abc import Iterable
from typing import Literal, get_args

Kind = Literal[
    "code",
    "cookie",
    "csrf",
    "login_token",
    "ticket",
    "oauth1_token",
    "oauth1_secret",
    "mfa_token",
    "access_token",
    "refresh_token",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
_NO_SECRETS = {
    "GARMIN-SSO",  # always 1
    "GARMIN-SSO-CUST-GUID",  # the person's garminGUID
    "org.springframework.web.servlet.i18n.CookieLocaleResolver.LOCALE",
}


class Issued:
    """Values by kind, each once, the oldest first; those that are used up or revoked stay."""

    def __init__(self) -> None:
        self._values: dict[Kind, list[str]] = {kind: [] for kind in KINDS}

    def note(self, kind: Kind, value: str) -> None:
        self._values[kind].append(value)

    def note_cookies(self, headers: Iterable[tuple[str, str]]) -> None:
        """The values of what `Set-Cookie` sets."""
        for header, cookie in headers:
            name, _, value = cookie.partition(";")[0].partition("=")
            if header == "Set-Cookie" and name not in _NO_SECRETS:
                self.note("cookie", value)

    def snapshot(self) -> dict[str, list[str]]:
        return {kind: list(dict.fromkeys(values)) for kind, values in self._values.items()}
