"""Accounts whose usernames say how their sign-in goes.

The local part of a username is read word by word, split at dashes, up to the first unknown word:
`plain-anna@example.com`, `sms-codelocked-7@example.com`, `ticket401-email-bob@example.com`.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

PASSWORD = "correct horse battery staple"


class Outcome(StrEnum):
    """How Garmin responds to credentials or a code."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    WRONG_WITHOUT_VERDICT = "401"
    LOCKED = "locked"
    LOCKED_IN_MESSAGE = "lockedmessage"
    CAPTCHA = "captcha"
    NEED_CAPTCHA = "needcaptcha"
    CAPTCHA_IN_XML = "captchaxml"
    DISABLED = "disabled"
    MFA_SETUP = "mfasetup"
    RENEW_PASSWORD = "renewpassword"
    CHILD = "child"
    PHONE_NUMBER = "phonenumber"
    CONSENT = "consent"
    NO_MORE_CODES = "limit"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    SESSION_EXPIRED = "sessionexpired"
    CONFLICT = "409"
    LIMITED = "limited"
    LIMITED_AFTER = "limited-after"
    LIMITED_IN_BODY = "limitedbody"
    REFUSED_427 = "http427"
    REFUSED_427_IN_BODY = "mfa427"
    CLOUDFLARE = "cloudflare"
    CLOUDFLARE_ATTENTION = "cfattention"
    CLOUDFLARE_DENIED = "cfdenied"
    CLOUDFLARE_1015 = "cf1015"
    CLOUDFLARE_1020 = "cf1020"
    DOWN = "down"
    HANG = "hang"
    CUT_BEFORE = "cut-before"
    CUT_AFTER = "cut-after"
    GARBAGE = "garbage"


class Method(StrEnum):
    """How a code is sent, as in `mfaLastMethodUsed` (only `email` is recorded)."""

    EMAIL = "email"
    SMS = "sms"
    APP = "totp"


_ONLY_AFTER_A_CODE = {
    Outcome.WRONG_WITHOUT_VERDICT,
    Outcome.EXHAUSTED,
    Outcome.EXPIRED,
    Outcome.SESSION_EXPIRED,
    Outcome.CONFLICT,
}
_BOTH = {str(o): o for o in Outcome if o not in (Outcome.ACCEPTED, Outcome.WRONG)}
LOGIN_WORDS = {"wrongpassword": Outcome.WRONG, "nocodes": Outcome.NO_MORE_CODES} | {
    word: outcome
    for word, outcome in _BOTH.items()
    if outcome not in (*_ONLY_AFTER_A_CODE, Outcome.NO_MORE_CODES)
}
CODE_WORDS = {"wrongcode": Outcome.WRONG} | {f"code{word}": o for word, o in _BOTH.items()}
_OF_THE_SERVER = (
    Outcome.LIMITED,
    Outcome.LIMITED_AFTER,
    Outcome.CLOUDFLARE,
    Outcome.CLOUDFLARE_ATTENTION,
    Outcome.CLOUDFLARE_DENIED,
    Outcome.CLOUDFLARE_1015,
    Outcome.CLOUDFLARE_1020,
    Outcome.DOWN,
    Outcome.HANG,
    Outcome.CUT_BEFORE,
    Outcome.GARBAGE,
)
REFRESH_WORDS = {
    "refreshdead": Outcome.WRONG,
    "refresh401": Outcome.WRONG_WITHOUT_VERDICT,
} | {f"refresh{outcome}": outcome for outcome in _OF_THE_SERVER}
METHOD_WORDS = {"email": Method.EMAIL, "sms": Method.SMS, "app": Method.APP}
FLAG_WORDS = {
    "nomfainfo": "without_mfa_info",
    "choosemethod": "chooses_method",
    "ticket401": "ticket_refused",
    "direfused": "di_refused",
    "inactive": "di_inactive",
    "exchange403": "exchange_refused",
}
# Each may be followed by how often: `profile500x5`.
COUNT_WORDS = {"profile500": ("profile_failures", 2), "refreshlost": ("lost_refreshes", 1)}
_COUNTED = re.compile(rf"({'|'.join(COUNT_WORDS)})(?:x(\d+))?")
WORDS = (
    *METHOD_WORDS,
    *LOGIN_WORDS,
    *CODE_WORDS,
    *REFRESH_WORDS,
    *FLAG_WORDS,
    *COUNT_WORDS,
)


@dataclass(frozen=True)
class Account:
    """A Garmin account; everything about it follows from its username and domain.

    method: None if no code is needed.
    without_mfa_info: the JSON flows do not say how the code is sent.
    chooses_method: the widget asks how to send the code, instead of sending one.
    profile_failures: how many profile requests fail with 500 before one succeeds.
    refresh: how a refresh of DI or OAuth2 tokens goes.
    lost_refreshes: how many refreshes are cut after the tokens are issued.
    """

    username: str
    domain: str
    method: Method | None = None
    login: Outcome = Outcome.ACCEPTED
    code: Outcome = Outcome.ACCEPTED
    without_mfa_info: bool = False
    chooses_method: bool = False
    ticket_refused: bool = False
    di_refused: bool = False
    di_inactive: bool = False
    exchange_refused: bool = False
    profile_failures: int = 0
    refresh: Outcome = Outcome.ACCEPTED
    lost_refreshes: int = 0

    @property
    def garmin_guid(self) -> str:
        return str(uuid.UUID(bytes=self._digest[:16], version=4))

    @property
    def display_name(self) -> str:
        return str(uuid.UUID(bytes=self._digest[16:], version=4))

    @property
    def full_name(self) -> str:
        """A name made of the local part: `plain-anna@example.com` is Plain Anna."""
        return re.sub(r"[^a-z0-9]+", " ", self.username.partition("@")[0]).strip().title()

    @property
    def profile_id(self) -> int:
        return 1_000_000 + int.from_bytes(self._digest[:6]) % 100_000_000

    @property
    def masked_email(self) -> str:
        local, _, host = self.username.partition("@")
        return f"{local[:2]}*****@{host}"

    @property
    def masked_phone(self) -> str:
        return f"*********{self.profile_id % 10_000:04}"

    @property
    def destination(self) -> str | None:
        """Where codes are sent, masked as by Garmin; None for an authenticator app."""
        match self.method:
            case Method.EMAIL:
                return self.masked_email
            case Method.SMS:
                return self.masked_phone
            case _:
                return None

    @property
    def _digest(self) -> bytes:
        return hashlib.sha256(f"{self.domain}:{self.username}".encode()).digest()


@lru_cache(maxsize=100_000)
def account_for(username: str, domain: str) -> Account:
    """Return the account with this username, which is case-insensitive, as at Garmin."""
    username = username.strip().lower()
    settings: dict[str, Any] = {}
    words = username.partition("@")[0].split("-")
    while words:
        # Some words contain a dash: try the first two as one.
        for length in (2, 1):
            if (setting := _setting("-".join(words[:length]))) is not None:
                settings |= setting
                words = words[length:]
                break
        else:
            break
    account = Account(username, domain, **settings)
    if account.method is None and _implies_code(account):
        return replace(account, method=Method.EMAIL)
    return account


def _setting(word: str) -> dict[str, Any] | None:
    if word in METHOD_WORDS:
        return {"method": METHOD_WORDS[word]}
    if word in LOGIN_WORDS:
        return {"login": LOGIN_WORDS[word]}
    if word in CODE_WORDS:
        return {"code": CODE_WORDS[word]}
    if word in FLAG_WORDS:
        return {FLAG_WORDS[word]: True}
    if word in REFRESH_WORDS:
        return {"refresh": REFRESH_WORDS[word]}
    if match := _COUNTED.fullmatch(word):
        field, default = COUNT_WORDS[match[1]]
        return {field: int(match[2] or default)}
    return None


def _implies_code(account: Account) -> bool:
    return (
        account.code is not Outcome.ACCEPTED
        or account.login in _IMPLY_CODE
        or account.without_mfa_info
        or account.chooses_method
    )


_IMPLY_CODE = (Outcome.NO_MORE_CODES, Outcome.REFUSED_427, Outcome.REFUSED_427_IN_BODY)
