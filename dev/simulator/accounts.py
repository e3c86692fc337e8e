"""Accounts: everything about one follows from its username and domain."""

import hashlib
import re
import uuid
from dataclasses import dataclass, replace
from functools import lru_cache

from dev.simulator.words import Method, Outcome, settings_of

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Account:
    """A Garmin account; everything about it follows from its username and domain.

    method: None if no code is needed.
    without_mfa_info: the JSON flows do not say how the code is sent.
    chooses_method: the widget asks how to send the code, instead of sending one.
    profile_failures: how many profile requests fail with 500 before one succeeds.
    refresh: how a refresh of DI or OAuth2 tokens goes.
    lost_refreshes: how many refreshes are cut after the tokens are issued.
    key: how the exchange of a Personal API key goes. key_is_ending: it has ten days left.
    key_without_guid: the tokens that a key is exchanged for do not say whose they are.
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
    key: Outcome = Outcome.ACCEPTED
    key_is_ending: bool = False
    key_without_guid: bool = False

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
    account = Account(username, domain, **settings_of(username.partition("@")[0]))
    if account.method is None and _implies_code(account):
        return replace(account, method=Method.EMAIL)
    return account


def _implies_code(account: Account) -> bool:
    return (
        account.code is not Outcome.ACCEPTED
        or account.login in _IMPLY_CODE
        or account.without_mfa_info
        or account.chooses_method
    )


_IMPLY_CODE = (Outcome.NO_MORE_CODES, Outcome.REFUSED_427, Outcome.REFUSED_427_IN_BODY)
