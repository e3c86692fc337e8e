"""Jobs from both sides: the submitter's and the worker's."""

from redis import Redis

from shared.crypto.keyring import Keyring
from shared.jobs.claims import JobClaims
from shared.jobs.store import JobStore
from shared.timings import PRODUCTION, Timings


class Jobs(JobStore, JobClaims):
    def __init__(
        self, redis: Redis, keyring: Keyring, ttl: int, timings: Timings = PRODUCTION
    ) -> None:
        JobStore.__init__(self, redis, keyring, ttl, timings)
        JobClaims.__init__(self, redis, keyring, ttl, timings)
