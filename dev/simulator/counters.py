"""Counters of what happened: in total, by username and by client."""

from collections import Counter
from typing import Literal, get_args

Count = Literal[
    "requests",
    "sign_in_pages",
    "credential_posts",
    "credentials_checked",
    "codes_sent",
    "codes_checked",
    "codes_accepted",
    "tickets_issued",
    "tickets_redeemed",
    "oauth1_exchanges",
    "oauth2_exchanges",
    "di_exchanges",
    "di_refreshes",
    "di_refreshes_repeated",
    "di_refreshes_reused",
    "key_exchanges",
    "profiles",
    "data_reads",
    "refused",
    "faults",
]
NAMES: tuple[Count, ...] = get_args(Count)


class Counters:
    """Counts since the last reset."""

    def __init__(self) -> None:
        self._total: Counter[str] = Counter()
        self._users: dict[str, Counter[str]] = {}
        self._clients: dict[str, Counter[str]] = {}

    def count(self, name: Count, username: str | None = None, client: str | None = None) -> None:
        self._total[name] += 1
        if username:
            self._users.setdefault(username, Counter())[name] += 1
        if client:
            self._clients.setdefault(client, Counter())[name] += 1

    def snapshot(self) -> dict[str, object]:
        """`{"total": {...}, "by_username": {...}, "by_client": {...}}`, zeros included."""
        return {
            "total": _filled(self._total),
            "by_username": {name: _filled(counts) for name, counts in self._users.items()},
            "by_client": {name: _filled(counts) for name, counts in self._clients.items()},
        }


def _filled(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in NAMES}
