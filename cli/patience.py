"""How long to wait, and what may be asked twice. Every wait ends at a deadline."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cli.codes import Code
from cli.trouble import Refusal, Trouble, Unreachable

SUBMISSION_BUDGET = 60.0
MOST_TRIES = 4
LONGEST_JOB = 3600.0

type Notice = Callable[[Trouble, float], None]


@dataclass(frozen=True)
class Deadline:
    """A moment on this process's clock, which nobody can set back."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        return cls(time.monotonic() + max(0.0, seconds))

    @property
    def left(self) -> float:
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.left == 0


def seconds_of(retry_after: str | None) -> int | None:
    """A `Retry-After` header: whole seconds or a date. Anything else counts as none."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return int(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, round((aware - datetime.now(UTC)).total_seconds()))


def submission_may_be_repeated(trouble: Trouble) -> bool:
    """Only where it is certain that nothing was started: a password is never tried twice."""
    if isinstance(trouble, Unreachable) or trouble.code == Code.CHALLENGE_BUSY:
        return True
    turned_away = isinstance(trouble, Refusal) and trouble.status in {429, 503}
    return turned_away and trouble.retry_after is not None


def read_may_be_repeated(trouble: Trouble) -> bool:
    """A read, or a deletion, does no more the second time than the first."""
    if isinstance(trouble, Unreachable):
        return True
    return isinstance(trouble, Refusal) and trouble.status in {429, 502, 503, 504}


def patiently[T](
    ask: Callable[[], T], may_be_repeated: Callable[[Trouble], bool], notice: Notice
) -> T:
    """Asks again a few times, within a minute, waiting as long as the service says."""
    deadline = Deadline.after(SUBMISSION_BUDGET)
    for attempt in range(MOST_TRIES):
        try:
            return ask()
        except Trouble as trouble:
            pause = pause_after(trouble, attempt)
            last = attempt == MOST_TRIES - 1
            if last or not may_be_repeated(trouble) or pause > deadline.left:
                raise
            notice(trouble, pause)
            time.sleep(pause)
    raise AssertionError


def pause_after(trouble: Trouble, attempt: int) -> float:
    if trouble.retry_after is not None:
        return float(trouble.retry_after)
    return min(5.0, 0.5 * 2.0 ** min(attempt, 9))
