"""Jobs from both sides: the submitter's and the worker's."""

from shared.crypto.keyring import Keyring
from shared.jobs.claims import Claim, JobClaims
from shared.jobs.states import JobCancelledError, JobStage, JobStatus
from shared.jobs.store import JobStore
from shared.redis.connection import Redis
from shared.timings import PRODUCTION, Timings


class Jobs(JobStore, JobClaims):
    def __init__(
        self, redis: Redis, keyring: Keyring, ttl: int, timings: Timings = PRODUCTION
    ) -> None:
        self._redis = redis
        JobStore.__init__(self, redis, keyring, ttl, timings)
        JobClaims.__init__(self, redis, keyring, ttl, timings)

    def advance(self, claim: Claim, stage: JobStage) -> None:
        """Publish a stage; workers do so only together with what they have reached."""
        if not self._apply(claim, JobStatus.RUNNING, {"stage": stage}):
            raise JobCancelledError
