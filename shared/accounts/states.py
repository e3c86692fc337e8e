"""What a connection is: how it was made, what it allows, and whether it can be renewed."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

EXPIRING = timedelta(days=14)
"""How long ahead of its end a connection that can't be renewed for longer is `expiring`."""

ROTATING = {"garminconnect"}
"""Drivers whose refresh gives a new refresh token, which lives as long as the first one did."""

_KEYS = {"personal_api"}
"""Drivers that renew from a key, which the person can revoke, and whose end may be near when it is
first heard of."""

_LONGEST_WAIT = timedelta(days=7)
_JITTER = 0.1
_SHORTEST_WAIT = timedelta(days=1)
_SHORTEST_WAIT_OF_KEY = timedelta(hours=1)

_random = secrets.SystemRandom()


def is_exclusive(driver: str) -> bool:
    """Return whether only one holder of such tokens can renew them."""
    return driver in ROTATING


class Access(StrEnum):
    READ_WRITE = "read_write"
    READ = "read"


class Method(StrEnum):
    """How the person connected."""

    PASSWORD = "password"  # noqa: S105 - a name, no secret
    IMPORT = "import"
    PERSONAL_API_KEY = "personal_api_key"

    @property
    def access(self) -> Access:
        return Access.READ if self is Method.PERSONAL_API_KEY else Access.READ_WRITE


class ConnectionState(StrEnum):
    ACTIVE = "active"
    EXPIRING = "expiring"
    SIGN_IN_REQUIRED = "sign_in_required"


class StateReason(StrEnum):
    """Why a connection needs a sign-in."""

    REJECTED = "rejected"
    """Garmin no longer accepts the refresh token."""

    EXPIRED = "expired"
    KEY_REVOKED = "key_revoked"


@dataclass(frozen=True)
class Standing:
    """A connection's state, and since when."""

    state: ConnectionState
    reason: StateReason | None
    since: datetime


def standing(
    stored: Standing, driver: str, refresh_expires_at: datetime, now: datetime
) -> Standing:
    """Return what the state is now: what was stored, or what the time that has passed makes of it.

    `refresh_expires_at` is until when the access token can be renewed without a sign-in.
    """
    if stored.state is ConnectionState.SIGN_IN_REQUIRED:
        return stored
    if refresh_expires_at <= now:
        expired = StateReason.EXPIRED
        return Standing(ConnectionState.SIGN_IN_REQUIRED, expired, refresh_expires_at)
    if driver in ROTATING or refresh_expires_at - now >= EXPIRING:
        return _unless_same(stored, ConnectionState.ACTIVE, now)
    return _unless_same(stored, ConnectionState.EXPIRING, refresh_expires_at - EXPIRING)


def refresh_due_at(driver: str, refresh_expires_at: datetime, now: datetime) -> datetime:
    """Return when to refresh next, or to look at the state, if nobody asks for a token before.

    That is when a third of the renewable time is left; for rotating tokens and keys after a week
    at the latest; and when the state changes. Jitter keeps connections apart that began together.
    """
    wait = (refresh_expires_at - now) * 2 / 3
    changes = [refresh_expires_at]
    if driver in ROTATING | _KEYS:
        wait = min(wait, _LONGEST_WAIT)
    if driver not in ROTATING:
        changes.append(refresh_expires_at - EXPIRING)
    wait *= 1 - _JITTER * _random.random()
    in_time = now + max(wait, _SHORTEST_WAIT_OF_KEY if driver in _KEYS else _SHORTEST_WAIT)
    return min([in_time, *(moment for moment in changes if moment > now)])


def _unless_same(stored: Standing, state: ConnectionState, since: datetime) -> Standing:
    return stored if stored.state is state else Standing(state, None, since)
