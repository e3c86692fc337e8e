"""Every secret that was issued, for tests that look for them where they must not be."""

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
    "personal_api_key",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
_PUBLIC_COOKIES = {
    "GARMIN-SSO",  # always 1
    "GARMIN-SSO-CUST-GUID",  # the person's garminGUID
    "org.springframework.web.servlet.i18n.CookieLocaleResolver.LOCALE",
}


class IssuedSecrets:
    """Values by kind, oldest first, without duplicates; used and revoked ones included."""

    def __init__(self) -> None:
        self._values: dict[Kind, list[str]] = {kind: [] for kind in KINDS}

    def record(self, kind: Kind, value: str) -> None:
        self._values[kind].append(value)

    def record_cookies(self, headers: Iterable[tuple[str, str]]) -> None:
        """Record the values of all `Set-Cookie` headers that hold a secret."""
        for header, cookie in headers:
            name, _, value = cookie.partition(";")[0].partition("=")
            if header == "Set-Cookie" and name not in _PUBLIC_COOKIES:
                self.record("cookie", value)

    def snapshot(self) -> dict[str, list[str]]:
        return {kind: list(dict.fromkeys(values)) for kind, values in self._values.items()}
