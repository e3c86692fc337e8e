"""How often something may happen: `20/minute;100/hour`, as settings write it."""

import re
from dataclasses import dataclass

_UNITS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
    "month": 30 * 86_400,
    "year": 360 * 86_400,
}
_SEPARATORS = re.compile(r"[,;|]")
_RATE = re.compile(
    r"\s*([0-9]+)\s*(?:/|per)\s*([0-9]*)\s*(second|minute|hour|day|month|year)s?\s*", re.IGNORECASE
)


@dataclass(frozen=True)
class Rate:
    """So many events in any period of so many seconds."""

    events: int
    seconds: int


def rates(notation: str) -> list[Rate]:
    """Read `20/minute`, `10 per 2 hours`, or several of them with `;` between.

    Raises ValueError.
    """
    return [_rate(part) for part in _SEPARATORS.split(notation)]


def _rate(text: str) -> Rate:
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError("not a rate")
    events, times, unit = match.groups()
    return Rate(int(events), (int(times or 1) or 1) * _UNITS[unit.lower()])
