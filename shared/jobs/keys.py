"""The keys of jobs in Redis, and times in milliseconds.

`fittrack` stands for the deployment's prefix.

- `fittrack:job:<id>` (hash: kind, status, stage, poll_hash, origin, sent_at, owner, runs, progress,
  outcome, sent, cancelled (set while its worker still runs it), and the names of the keys below
  that the job holds: account, idempotency, queued)
- `fittrack:job:<id>:lease` (the owner)
- `fittrack:job:<id>:input` (sealed, deleted when the job ends)
- `fittrack:account:<keyed hash>` (the job that signs this Garmin account in)
- `fittrack:token:<id of stored tokens>` (the job that refreshes them)
- `fittrack:idempotency:<keyed hash>` (hash: body, job, poll_token)
- `fittrack:jobs:open` (sorted set: jobs whose message was sent, by when to look for it again)
- `fittrack:jobs:queued:<queue>` (sorted set: jobs that no worker has taken, by when they expire)

All of them have a time to live. A key that names a job has no effect once the job is gone. Every
step is published on the channel `fittrack:jobs` with the job id. Times are by Redis' clock: a
process's may be wrong.
"""

from dataclasses import dataclass

from shared.keyspace import KeySpace


@dataclass(frozen=True)
class JobKeys:
    keyspace: KeySpace

    @property
    def channel(self) -> str:
        return self.keyspace.key("jobs")

    @property
    def open(self) -> str:
        return self.keyspace.key("jobs", "open")

    @property
    def ended(self) -> str:
        return self.keyspace.key("jobs-ended")

    @property
    def jobs(self) -> str:
        """What comes before a job's id, for scripts that find ids."""
        return self.keyspace.key("job", "")

    def job(self, job_id: str) -> str:
        return self.keyspace.key("job", job_id)

    def lease(self, job_id: str) -> str:
        return self.keyspace.key("job", job_id, "lease")

    def input(self, job_id: str) -> str:
        return self.keyspace.key("job", job_id, "input")

    def challenge(self, name: str) -> str:
        """`name` is the hash of the challenge's id; an empty one names none."""
        return self.keyspace.key("challenge", name)

    def account(self, account: str | None) -> str:
        return self.keyspace.key("account", account or "")

    def token(self, token_id: str) -> str:
        return self.keyspace.key("token", token_id)

    def idempotency(self, name: str) -> str:
        return self.keyspace.key("idempotency", name)

    def queued(self, queue: str) -> str:
        return self.keyspace.key("jobs", "queued", queue)


def subject(job_id: str, poll_hash: str, origin: str) -> str:
    """Bind what a job holds to its submitter and its origin, as it is written in Redis.

    A writer to Redis can't move it to another job, nor change for whom it is.
    """
    return f"{job_id}:{poll_hash}:{origin}"


def ms(seconds: float) -> int:
    return int(seconds * 1000)
