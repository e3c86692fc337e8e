"""The keys in Redis of drivers that Garmin refuses, and of how often a password was posted.

`fittrack` stands for the deployment's prefix.

- `fittrack:rest:<driver>` (hash: since, until, level, why): the rest for everybody. The key
  outlives it: until somebody was let in, one sign-in at a time probes
- `fittrack:rest:<driver>:known` (set): the accounts whose refusals led to that rest
- `fittrack:rest:<driver>:probe` (a token): the sign-in that probes
- `fittrack:rest:<driver>:refused` (sorted set): accounts refused lately, by when
- `fittrack:rest:<driver>:account:<keyed hash>` (hash: since, until, level, why): an account's rest
- `fittrack:rest:<driver>:accounts` (sorted set): those accounts, by when their rest ends
- `fittrack:refresh-rest:…`: the same for refreshes, whose accounts are ids of stored tokens
- `fittrack:refusals` (hash: `<driver>:<scope>` → how many)
- `fittrack:posts:<job id>` (hash: driver → how often it has posted the job's password)

Times are in milliseconds, by the clock of Redis. All keys have a time to live.
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.keyspace import KeySpace


class DriverUse(StrEnum):
    """What a driver is used for. Refusals of one use do not stop the other."""

    SIGN_IN = "rest"
    REFRESH = "refresh-rest"


@dataclass(frozen=True)
class DriverKeys:
    keyspace: KeySpace
    driver: str
    use: DriverUse = DriverUse.SIGN_IN

    @property
    def rest(self) -> str:
        return self.keyspace.key(self.use, self.driver)

    @property
    def known(self) -> str:
        return f"{self.rest}:known"

    @property
    def probe(self) -> str:
        return f"{self.rest}:probe"

    @property
    def refused(self) -> str:
        return f"{self.rest}:refused"

    @property
    def accounts(self) -> str:
        return f"{self.rest}:accounts"

    def account(self, account: str | None) -> str:
        return f"{self.rest}:account:{account or ''}"


def refusals_key(keyspace: KeySpace) -> str:
    return keyspace.key("refusals")


def posts_key(keyspace: KeySpace, job_id: str) -> str:
    return keyspace.key("posts", job_id)
