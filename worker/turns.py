"""How a driver's turn ends, reported to its cooldowns."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from shared.errors import (
    AccountLockedError,
    CaptchaRequiredError,
    ClientRefusedError,
    CodeLimitReachedError,
    GarminActionRequiredError,
    InvalidCredentialsError,
    ProxyRefusedError,
    ServiceUnavailableError,
    TokensRejectedError,
)
from shared.redis.driver_cooldowns import DriverCooldowns, Turn

_VERDICTS = (
    AccountLockedError,
    CaptchaRequiredError,
    CodeLimitReachedError,
    GarminActionRequiredError,
    InvalidCredentialsError,
    TokensRejectedError,
)
"""On the person: Garmin has let the client in."""

_UNREPORTED_WAIT = 60


@contextmanager
def reported(cooldowns: DriverCooldowns, turn: Turn, *, counts: bool = True) -> Iterator[None]:
    """Report how a driver's turn ends. A refusal is raised again with the account's wait.

    Redis may not answer: what Garmin has said is worth more than the report.
    """
    try:
        yield
    except ProxyRefusedError:
        _report(cooldowns.leave, turn)
        raise
    except ClientRefusedError as refusal:
        wait = refusal.retry_after or _UNREPORTED_WAIT
        with suppress(ServiceUnavailableError):
            wait = cooldowns.refused(turn, refusal, counts=counts)
        raise type(refusal)(wait, scope=refusal.scope, final=refusal.final) from None
    except _VERDICTS:
        _report(cooldowns.accepted, turn)
        raise
    except Exception:
        _report(cooldowns.leave, turn)
        raise
    else:
        _report(cooldowns.accepted, turn)


def _report(report: Callable[[Turn], None], turn: Turn) -> None:
    with suppress(ServiceUnavailableError):
        report(turn)
