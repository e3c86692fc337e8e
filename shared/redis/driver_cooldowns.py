"""Cooldowns of drivers that Garmin refuses, shared by all processes through Redis.

A refusal belongs to its account first: that account waits, others go on. A driver rests for
everybody when the refusal is recognisably about the client, or when several accounts were refused
and nobody was let in between. After such a rest, one sign-in at a time probes, until one is let in.
"""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from shared.crypto.tokens import new_token
from shared.errors import ClientRefusedError, FitTrackError
from shared.redis.connection import LuaScript, Redis, redis_errors_translated
from shared.redis.driver_keys import DriverKeys, DriverUse, refusals_key
from shared.timings import PRODUCTION, Timings

_log = logging.getLogger(__name__)

_MINUTE = 60_000
_DAY = 1440 * _MINUTE
_FIRST_REST = 60 * _MINUTE
_FIRST_ACCOUNT_REST = 15 * _MINUTE
_ACCOUNTS = 3
_WINDOW = 10 * _MINUTE
_PROBE_WAIT = 10_000
_COUNTER_TTL = 90 * _DAY


class RestCause(StrEnum):
    """Why a driver rests for everybody."""

    CLIENT = "client"
    """A refusal was recognisably about this address or client."""

    ACCOUNTS = "accounts"
    """Several accounts were refused within ten minutes, and nobody was let in between."""

    PROBE = "probe"
    """Another account was refused as the first one after a rest."""


class DriverRestsError(FitTrackError):
    """The driver rests for this account or for everybody, or another sign-in probes it."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("driver rests")
        self.retry_after = retry_after


@dataclass(frozen=True)
class Turn:
    """A sign-in's use of a driver. `probe` is set if it is the one that probes after a rest."""

    driver: str
    account: str | None = None
    probe: str | None = field(default=None, repr=False)


class DriverCooldowns:
    """Accounts are keyed hashes; None is an unknown one, and counts for nobody.

    Every method raises ServiceUnavailableError when Redis does not answer.
    """

    def __init__(
        self,
        redis: Redis,
        timings: Timings = PRODUCTION,
        use: DriverUse = DriverUse.SIGN_IN,
    ) -> None:
        self._keyspace = redis.keyspace
        self._use = use
        # Longer than a sign-in: only a probe whose worker has died ends by itself.
        self._probe_ttl = int(1000 * (timings.login_deadline + 2 * timings.lease))
        self._enter = LuaScript(redis, __package__, "driver_enter")
        self._refused = LuaScript(redis, __package__, "driver_refused")
        self._accepted = LuaScript(redis, __package__, "driver_accepted")
        self._leave = LuaScript(redis, __package__, "driver_leave")

    def enter(self, driver: str, account: str | None) -> Turn:
        """Begin to use a driver; report how it went with one of the other methods.

        Raises DriverRestsError.
        """
        token = new_token()
        wait, probes = self._look(driver, account, token)
        if wait:
            raise DriverRestsError(wait)
        return Turn(driver, account, token if probes else None)

    @redis_errors_translated
    def refused(self, turn: Turn, refusal: ClientRefusedError, *, counts: bool = True) -> int:
        """Let the account wait, perhaps everybody; return the account's seconds.

        `counts`: whether this is one of the accounts whose refusals add up to everybody's rest.
        """
        keys = self._keys(turn.driver)
        wait, began, cause = self._refused(
            keys.rest,
            keys.known,
            keys.probe,
            keys.refused,
            keys.accounts,
            keys.account(turn.account),
            refusals_key(self._keyspace),
            account=turn.account,
            scope=refusal.scope,
            counter=f"{turn.driver}:{refusal.scope}",
            wait=max(0, refusal.retry_after or 0) * 1000,
            token=turn.probe,
            counts=counts,
            accounts=_ACCOUNTS,
            window=_WINDOW,
            first=_FIRST_REST,
            account_first=_FIRST_ACCOUNT_REST,
            longest=_DAY,
            memory=_DAY,
            counter_ttl=_COUNTER_TTL,
        )
        if began:
            _log.warning(
                "driver %s rests for everybody%s for %d s: %s",
                turn.driver,
                "'s refreshes" if self._use is DriverUse.REFRESH else "",
                _seconds(began),
                _REASONS[RestCause(cause.decode())],
            )
        return _seconds(wait)

    @redis_errors_translated
    def accepted(self, turn: Turn) -> None:
        """End the account's rest, and everybody's if it is over and was being probed."""
        keys = self._keys(turn.driver)
        self._accepted(
            keys.rest,
            keys.known,
            keys.probe,
            keys.refused,
            keys.accounts,
            keys.account(turn.account),
            account=turn.account,
        )

    @redis_errors_translated
    def leave(self, turn: Turn) -> None:
        """End a turn that showed nothing of the driver: the next sign-in may probe."""
        if turn.probe:
            self._leave(self._keys(turn.driver).probe, token=turn.probe)

    def remaining(self, driver: str, account: str | None = None) -> int:
        """Return the seconds until this account may use the driver, or 0.

        Without an account: until anybody may.
        """
        return self._look(driver, account)[0]

    def shortest_remaining(self, drivers: Iterable[str], account: str | None = None) -> int:
        """Return the seconds until this account may use one of the drivers, or 0."""
        waits: list[int] = []
        for driver in drivers:
            waits.append(self.remaining(driver, account))
            if not waits[-1]:  # usable now: no need to ask for the others
                break
        return min(waits)

    @redis_errors_translated
    def _look(self, driver: str, account: str | None, token: str | None = None) -> tuple[int, bool]:
        keys = self._keys(driver)
        wait, probes = self._enter(
            keys.rest,
            keys.probe,
            keys.account(account),
            token=token,
            probe_ttl=self._probe_ttl,
            probe_wait=_PROBE_WAIT,
        )
        return _seconds(wait), bool(probes)

    def _keys(self, driver: str) -> DriverKeys:
        return DriverKeys(self._keyspace, driver, self._use)


_REASONS = {
    RestCause.CLIENT: "Garmin refuses this address or client",
    RestCause.ACCOUNTS: f"{_ACCOUNTS} accounts were refused, and nobody was let in between",
    RestCause.PROBE: "another account was refused after the rest",
}


def _seconds(milliseconds: float) -> int:
    return math.ceil(milliseconds / 1000)
