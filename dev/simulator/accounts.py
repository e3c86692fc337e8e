"""Accounts by name: what a username's first words say is what happens to whoever signs in with it.

The local part of a username is read word by word, split at dashes, until a word that means nothing:
`plain-anna@example.com`, `sms-codelocked-7@example.com`, `ticket401-email-bob@example.com`.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

PASSWORD = "correct horse battery staple"


class Outcome(StrEnum):
    """What Garmin does when credentials or a code arrive."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    LOCKED = "locked"
    CAPTCHA = "captcha"
    LIMIT = "limit"
    EXPIRED = "expired"
    LIMITED = "limited"
    LIMITED_AFTER = "limited-after"
    LIMITED_IN_BODY = "limitedbody"
    REFUSED_427 = "http427"
    REFUSED_427_IN_BODY = "mfa427"
    CLOUDFLARE = "cloudflare"
    DOWN = "down"
    HANG = "hang"
    CUT_BEFORE = "cut-before"
    CUT_AFTER = "cut-after"
    GARBAGE = "garbage"


class Method(StrEnum):
    """How a code reaches its person, as `mfaLastMethodUsed` says it (only `email` is recorded)."""

    EMAIL = "email"
    SMS = "sms"
    APP = "totp"


LOGIN_WORDS = {
    "wrongpassword": Outcome.WRONG,
    "locked": Outcome.LOCKED,
    "captcha": Outcome.CAPTCHA,
    "limited": Outcome.LIMITED,
    "limited-after": Outcome.LIMITED_AFTER,
    "limitedbody": Outcome.LIMITED_IN_BODY,
    "http427": Outcome.REFUSED_427,
    "mfa427": Outcome.REFUSED_427_IN_BODY,
    "cloudflare": Outcome.CLOUDFLARE,
    "down": Outcome.DOWN,
    "hang": Outcome.HANG,
    "cut-before": Outcome.CUT_BEFORE,
    "cut-after": Outcome.CUT_AFTER,
    "garbage": Outcome.GARBAGE,
}
CODE_WORDS = {
    "wrongcode": Outcome.WRONG,
    "codelocked": Outcome.LOCKED,
    "codelimit": Outcome.LIMIT,
    "codeexpired": Outcome.EXPIRED,
    "codelimited": Outcome.LIMITED,
    "codelimited-after": Outcome.LIMITED_AFTER,
    "codelimitedbody": Outcome.LIMITED_IN_BODY,
    "codecloudflare": Outcome.CLOUDFLARE,
    "codedown": Outcome.DOWN,
    "codehang": Outcome.HANG,
    "codecut-before": Outcome.CUT_BEFORE,
    "codecut-after": Outcome.CUT_AFTER,
    "codegarbage": Outcome.GARBAGE,
}
METHOD_WORDS = {"email": Method.EMAIL, "sms": Method.SMS, "app": Method.APP}
PROFILE_WORD = re.compile(r"profile500(?:x(\d+))?")


@dataclass(frozen=True)
class Account:
    """One person at Garmin, the same every time the name is used.

    method: None where Garmin asks for no code.
    profile_failures: how many profile requests answer 500 before one works.
    """

    username: str
    domain: str
    method: Method | None = None
    login: Outcome = Outcome.ACCEPTED
    code: Outcome = Outcome.ACCEPTED
    ticket_refused: bool = False
    di_refused: bool = False
    di_inactive: bool = False
    profile_failures: int = 0

    @property
    def garmin_guid(self) -> str:
        return str(uuid.UUID(bytes=self._digest[:16], version=4))

    @property
    def display_name(self) -> str:
        return str(uuid.UUID(bytes=self._digest[16:], version=4))

    @property
    def full_name(self) -> str:
        """The local part as a name: `plain-anna@example.com` is Plain Anna."""
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
        """Where codes go, masked as Garmin masks it; None for an authenticator app."""
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
    """The account that goes by this name; case does not matter, as at Garmin."""
    username = username.strip().lower()
    account = Account(username, domain)
    words = username.partition("@")[0].split("-")
    while words:
        pair, word = "-".join(words[:2]), words[0]
        if (longer := _with_word(account, pair)) is not None:
            account, words = longer, words[2:]
        elif (shorter := _with_word(account, word)) is not None:
            account, words = shorter, words[1:]
        else:
            break
    needs_method = account.code is not Outcome.ACCEPTED
    needs_method |= account.login in (Outcome.REFUSED_427, Outcome.REFUSED_427_IN_BODY)
    if needs_method and account.method is None:
        account = replace(account, method=Method.EMAIL)
    return account


def _with_word(account: Account, word: str) -> Account | None:
    if word in METHOD_WORDS:
        return replace(account, method=METHOD_WORDS[word])
    if word in LOGIN_WORDS:
        return replace(account, login=LOGIN_WORDS[word])
    if word in CODE_WORDS:
        return replace(account, code=CODE_WORDS[word])
    if word == "ticket401":
        return replace(account, ticket_refused=True)
    if word == "direfused":
        return replace(account, di_refused=True)
    if word == "inactive":
        return replace(account, di_inactive=True)
    if match := PROFILE_WORD.fullmatch(word):
        return replace(account, profile_failures=int(match[1] or 2))
    return None
