"""A driver that leaves proxies that are refused or broken."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import (
    ClientRefusedError,
    ProxyRefusedError,
    RefusalScope,
)
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from worker.drivers.driver import GarminDriver, Permit, SignInPermit
from worker.drivers.proxies import GarminProxies

_NEXT_PROXY_WAIT = 1


@dataclass
class _NotedPermit:
    """A sign-in's permit that notes whether the password was posted."""

    permit: SignInPermit
    posted: bool = False

    def check(self) -> float | None:
        return self.permit.check()

    def post_password(self, way: str) -> None:
        self.posted = True
        self.permit.post_password(way)


class GuidedDriver:
    """Raises what the driver raises. No secret that was sent is sent again by another proxy."""

    def __init__(self, driver: GarminDriver, proxies: GarminProxies) -> None:
        self.name = driver.name
        self._driver = driver
        self._proxies = proxies

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        noted = _NotedPermit(permit)
        return self._guided(
            lambda: self._driver.sign_in(credentials, noted), lambda: not noted.posted
        )

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        # A refusal comes after the code was sent.
        return self._guided(lambda: self._driver.finish(pending, code, permit), lambda: False)

    def resend(self, pending: PendingSignIn, permit: Permit) -> PendingSignIn:
        # A refusal comes after Garmin may have sent the code.
        return self._guided(lambda: self._driver.resend(pending, permit), lambda: False)

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        return self._guided(lambda: self._driver.identify(tokens, permit))

    def claimed_identity(self, tokens: GarminTokens) -> GarminIdentity | None:
        return self._driver.claimed_identity(tokens)

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        return self._guided(lambda: self._driver.refresh(tokens, permit))

    def _guided[T](self, call: Callable[[], T], may_repeat: Callable[[], bool] = lambda: True) -> T:
        """Call, and once more by each further proxy where Garmin refuses an address."""
        for _ in range(len(self._proxies) - 1):
            proxy = self._proxies.current(self.name)
            try:
                return self._proxies.until_connected(self.name, call)
            except ClientRefusedError as refusal:
                if refusal.scope is not RefusalScope.CLIENT:
                    raise
                if not self._proxies.leave_refused(self.name, proxy, refusal.retry_after):
                    raise
                if not may_repeat():
                    raise ProxyRefusedError(_NEXT_PROXY_WAIT) from None
        return self._proxies.until_connected(self.name, call)
