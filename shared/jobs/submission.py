"""Submitting a job: created and enqueued, or neither."""

from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import SecretStr

from shared.crypto.secret import Sealable
from shared.crypto.tokens import new_token
from shared.errors import ServiceUnavailableError, SubmissionUncertainError
from shared.jobs.queue import JobQueue
from shared.jobs.repeats import NewJob, Repeatable
from shared.jobs.states import JobKind
from shared.jobs.store import JobStore
from shared.origin import Origin


@dataclass(frozen=True)
class Submission[T: Sealable]:
    """A job to submit. `repeatable` is set if its client may send it again.

    Its id and its poll token are chosen here: who submits it may write them down first.
    """

    kind: JobKind
    work: T
    origin: Origin
    repeatable: Repeatable | None = None
    job_id: str = field(default_factory=JobStore.new_id)
    poll_token: SecretStr = field(default_factory=lambda: SecretStr(new_token()))


@dataclass(frozen=True)
class Submitter:
    """Every method raises IdempotencyKeyReusedError and ServiceUnavailableError."""

    jobs: JobStore
    queue: JobQueue

    def repeat(self, submission: Submission[Sealable]) -> NewJob | None:
        """Return the job of an earlier, equal submission, if there is one.

        Sends the message that the earlier one may have failed to send: a duplicate does no harm.
        """
        if submission.repeatable is None:
            return None
        job = self.jobs.find_repeated(submission.repeatable)
        if job is not None:
            self._send(submission.kind, job)
        return job

    def submit(self, submission: Submission[Sealable]) -> NewJob:
        """Create and enqueue the job, or find the one that an equal submission has just made.

        Raises SignInInProgressError.
        """
        job = self._create(submission)
        self._send(submission.kind, job)
        return job

    def _create(self, submission: Submission[Sealable]) -> NewJob:
        try:
            return self.jobs.create(
                submission.job_id,
                submission.kind,
                submission.work,
                submission.origin,
                submission.repeatable,
                submission.poll_token,
            )
        except ServiceUnavailableError:  # it may have been created: Redis did not say
            with suppress(ServiceUnavailableError):
                self.jobs.discard(submission.job_id)
            raise

    def _send(self, kind: JobKind, job: NewJob) -> None:
        """Enqueue the job, or discard it. Raises SubmissionUncertainError if neither is certain.

        A broker that took the message and then stopped answering can't be told from one that did
        not take it. A job that a worker has claimed proves that the message arrived.
        """
        if not job.unsent:
            return
        try:
            self.queue.put(kind, job.job_id)
        except ServiceUnavailableError as error:
            if self._discard(job.job_id, error):
                raise
            return
        try:
            confirmed = self.jobs.confirm(job.job_id)
        except ServiceUnavailableError:
            return  # the message is out: the job runs, whether Redis has noted that or not
        if not confirmed:
            # An equal submission failed to send it, and discarded the job.
            raise ServiceUnavailableError("broker")

    def _discard(self, job_id: str, error: ServiceUnavailableError) -> bool:
        try:
            return self.jobs.discard(job_id)
        except ServiceUnavailableError:
            raise SubmissionUncertainError(error.what) from None
