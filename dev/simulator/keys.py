"""Personal API keys, which people make at Garmin Connect."""

import secrets
from dataclasses import dataclass

from dev.simulator.accounts import Account, account_for

DAY_S = 24 * 3600
SPELLED = "key-"
SPELLED_DOMAIN = "garmin.com"
LIFETIME_DAYS = 180
ENDING_DAYS = 10


@dataclass
class PersonalKey:
    """A key until its end; it can be revoked before that."""

    value: str
    account: Account
    expires_at: float
    revoked: bool = False


class PersonalKeys:
    """Keys by value. `key-USERNAME` is one for each account, made when it is first used."""

    def __init__(self) -> None:
        self._keys: dict[str, PersonalKey] = {}

    def make(self, account: Account, expires_at: float, value: str | None = None) -> PersonalKey:
        key = PersonalKey(value or secrets.token_urlsafe(32), account, expires_at)
        self._keys[key.value] = key
        return key

    def find(self, value: str, now: float) -> PersonalKey | None:
        """Return the key unless it is unknown, revoked or over."""
        key = self._keys.get(value) or self._spelled(value, now)
        return key if key is not None and not key.revoked and key.expires_at > now else None

    def revoke(self, username: str | None = None) -> int:
        """Revoke the keys that were made or used, all or one person's; return how many."""
        revoked = [
            key
            for key in self._keys.values()
            if username in (None, key.account.username) and not key.revoked
        ]
        for key in revoked:
            key.revoked = True
        return len(revoked)

    def _spelled(self, value: str, now: float) -> PersonalKey | None:
        username = value.removeprefix(SPELLED)
        if username == value or not username:
            return None
        account = account_for(username, SPELLED_DOMAIN)
        days = ENDING_DAYS if account.key_is_ending else LIFETIME_DAYS
        return self.make(account, now + days * DAY_S, value)
