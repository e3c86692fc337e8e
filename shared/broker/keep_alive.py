"""Keeps connections alive that nobody uses: what is due is refreshed, at a bounded rate."""

import math
from contextlib import suppress

from shared.accounts.refreshes import DueTokens, RefreshLog
from shared.broker.errors import RefreshFailedError
from shared.broker.refreshes import Refreshes
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.redis.connection import Redis
from shared.redis.rate_limits import REFRESHES, RateLimit, RateLimitedError

WINDOW = 10
"""Seconds in which no more than a minute's share is begun: a backlog drains evenly."""


def share(rate: int) -> int:
    """Return how many refreshes may begin in a window, where `rate` may in a minute."""
    return math.ceil(rate * WINDOW / 60)


class KeepAlive:
    """Run by every worker: each row that is due is claimed by one, and `rate` is for all together.

    `rate` is how many refreshes may be submitted in a minute.
    """

    def __init__(
        self, redis: Redis, database: Database, keyring: Keyring, refreshes: Refreshes, rate: int
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._refreshes = refreshes
        self._share = share(rate)
        notation = f"{self._share}/{WINDOW}second;{rate}/minute"
        self._limit = RateLimit(redis, REFRESHES, notation)

    def submit_due(self) -> int:
        """Submit the refreshes that are due, as far as the rate allows; return how many were.

        Raises ServiceUnavailableError. What was claimed and not submitted is due again later.
        """
        database, keyring = self._database, self._keyring
        due = database.run(lambda session: RefreshLog(session, keyring).count_due(self._share))
        allowed = self._allowed(due)
        if not allowed:
            return 0
        claimed = database.run(lambda session: RefreshLog(session, keyring).claim_due(allowed))
        return sum(self._submit(tokens) for tokens in claimed)

    def _allowed(self, due: int) -> int:
        allowed = 0
        with suppress(RateLimitedError):
            for _ in range(due):
                self._limit.hit("all")
                allowed += 1
        return allowed

    def _submit(self, tokens: DueTokens) -> bool:
        try:
            self._refreshes.submit(tokens.id, tokens.generation, tokens.driver)
        except RefreshFailedError as failure:
            seconds = failure.retry_after
            self._database.run(
                lambda session: RefreshLog(session, self._keyring).postpone(
                    tokens.id, tokens.generation, seconds, ended=False
                )
            )
            return False
        return True
