"""Drivers that do as they are told, and the chain over them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from shared.crypto.tokens import new_token
from shared.errors import (
    GarminRateLimitedError,
)
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminDomain,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.password_posts import PasswordPosts
from tests.worker.ways import ALWAYS
from worker.chain import DriverChain
from worker.drivers.driver import GarminDriver, Permit, SignInPermit

HOUR = 3600
CREDENTIALS = Credentials(username=SecretStr("anna@example.com"), password=SecretStr("secret"))


@dataclass
class ScriptedDriver:
    """Posts the password, and raises the error it is given, asks for a code, or signs in.

    `posts`: by which ways in it posts the password.
    """

    name: str
    error: Exception | None = None
    needs_code: bool = False
    posts: tuple[str, ...] = ("mobile",)
    calls: list[str] = field(default_factory=list)

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        for way in self.posts:
            permit.post_password(way)
        self._record("sign_in")
        if self.needs_code:
            return CodeRequired(pending=pending(self.name))
        return SignedIn(tokens=tokens(self.name))

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        self._record("finish")
        return SignedIn(tokens=tokens(self.name))

    def resend(self, pending: PendingSignIn, permit: Permit) -> PendingSignIn:
        self._record("resend")
        return pending

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        self._record("identify")
        return GarminIdentity(guid=self.name, display_name=self.name)

    def claimed_identity(self, tokens: GarminTokens) -> GarminIdentity | None:
        return None

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        self._record("refresh")
        return tokens

    def _record(self, what: str) -> None:
        self.calls.append(what)
        if self.error is not None:
            raise self.error


def pending(driver: str) -> PendingSignIn:
    return PendingSignIn(
        driver=driver,
        domain=GarminDomain.COM,
        mfa_type="email",
        mfa_destination=None,
        state=SecretStr("{}"),
    )


def tokens(driver: str) -> GarminTokens:
    later = datetime.now(UTC) + timedelta(days=1)
    return GarminTokens(
        driver=driver,
        domain=GarminDomain.COM,
        data=SecretStr("{}"),
        access_expires_at=later,
        refresh_expires_at=later,
    )


@dataclass
class Chain:
    """The chain of one worker, as jobs use it: each sign-in is a job of its own."""

    redis: Redis
    drivers: Sequence[GarminDriver]

    def __post_init__(self) -> None:
        self.chain = DriverChain(
            self.drivers, DriverCooldowns(self.redis), PasswordPosts(self.redis)
        )

    def sign_in(
        self, account: str | None = "anna", job_id: str | None = None
    ) -> SignedIn | CodeRequired:
        return self.chain.sign_in(CREDENTIALS, ALWAYS, job_id or new_token(), account)

    def driver(self, account: str | None = "anna", job_id: str | None = None) -> str:
        """Sign in; return the name of the driver that did."""
        result = self.sign_in(account, job_id)
        return result.tokens.driver if isinstance(result, SignedIn) else result.pending.driver

    def finish(self, driver: str, account: str | None = "anna") -> str:
        return self.chain.finish(pending(driver), "123456", ALWAYS, account).tokens.driver

    def limited(self, account: str | None = "anna", job_id: str | None = None) -> int:
        """Sign in, which ends as rate-limited; return after how many seconds to try again."""
        with pytest.raises(GarminRateLimitedError) as caught:
            self.sign_in(account, job_id)
        assert type(caught.value) is GarminRateLimitedError
        assert caught.value.retry_after is not None
        return caught.value.retry_after


def about(seconds: int, actual: int | None) -> bool:
    """Some seconds may already have passed."""
    return actual is not None and seconds - 30 <= actual <= seconds
