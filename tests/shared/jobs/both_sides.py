"""Jobs from both sides: the submitter's and the worker's."""

from typing import cast

from shared.crypto.keyring import Keyring
from shared.jobs.claims import Claim, JobClaims
from shared.jobs.states import JobStage, JobStatus
from shared.jobs.store import JobStore
from shared.jobs.views import JobView, view_job
from shared.redis.connection import Redis, redis_errors_translated
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
        self._apply(claim, JobStatus.RUNNING, {"stage": stage})

    @redis_errors_translated
    def view(self, job_id: str, poll_token: str) -> JobView:
        """The API reads the same on its event loop."""
        fields = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.job(job_id)))
        text = {name.decode(): value for name, value in fields.items()}
        return view_job(self._keyring, job_id, poll_token, text)
