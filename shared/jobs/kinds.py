"""The kinds of job: one row each, read by everything that runs, queues or records a job.

To add one: a name in `JobKind`, a row here, and a handler in `worker/handlers/`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from shared.audit.events import EventKind
from shared.crypto.keyring import Purpose
from shared.jobs.states import JobKind, JobStage
from shared.timings import Timings


class AccountLock(StrEnum):
    """What a job does about other jobs of its Garmin account."""

    ALONE = "alone"
    """It is refused while another job holds the account, and holds it itself."""

    MARK = "mark"
    """It runs in any case, and holds the account if that is free."""


@dataclass(frozen=True, kw_only=True)
class AuditEvents:
    """Which audit event each step of a job writes; None: none."""

    requested: EventKind | None = None
    succeeded: EventKind | None = None
    code_requested: EventKind | None = None
    code_wrong: EventKind | None = None
    failed: EventKind | None = None


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`max_runs` is how many workers may begin the job before it counts as interrupted.

    `input` is what the work that its submitter gives is sealed for.

    `urgent`: somebody waits with a code in hand. Each worker keeps threads for such jobs.

    `marked`: whether its runs are marked in the database, as `shared/database/job_marks.py` says.
    """

    name: JobKind
    task: str
    queue: str
    urgent: bool = False
    deadline: Callable[[Timings], float]
    max_runs: int
    marked: bool = True
    account_lock: AccountLock | None
    first_stage: JobStage
    input: Purpose = Purpose.JOB_INPUT
    events: AuditEvents


_ROWS = (
    Kind(
        name=JobKind.MFA_COMPLETION,
        task="garmin.complete_mfa",
        queue="mfa",
        urgent=True,
        deadline=lambda timings: timings.code_deadline,
        max_runs=2,
        account_lock=AccountLock.MARK,
        first_stage=JobStage.CHECKING_CODE,
        events=AuditEvents(
            requested=EventKind.CODE_SUBMITTED,
            succeeded=EventKind.SIGNED_IN,
            code_wrong=EventKind.CODE_WRONG,
            failed=EventKind.SIGN_IN_FAILED,
        ),
    ),
    Kind(
        name=JobKind.CODE_RESEND,
        task="garmin.resend_code",
        queue="mfa",
        urgent=True,
        deadline=lambda timings: timings.code_deadline,
        # Garmin may have sent the code before a worker died: another one would make it void.
        max_runs=1,
        account_lock=AccountLock.MARK,
        first_stage=JobStage.CONTACTING_GARMIN,
        events=AuditEvents(
            requested=EventKind.CODE_RESEND_REQUESTED,
            code_requested=EventKind.CODE_REQUESTED,
            failed=EventKind.CODE_RESEND_FAILED,
        ),
    ),
    Kind(
        name=JobKind.LOGIN,
        task="garmin.login",
        queue="login",
        deadline=lambda timings: timings.login_deadline,
        max_runs=2,
        # A second sign-in would have Garmin send a new code, and make the first one void.
        account_lock=AccountLock.ALONE,
        first_stage=JobStage.CONTACTING_GARMIN,
        events=AuditEvents(
            requested=EventKind.SIGN_IN_REQUESTED,
            succeeded=EventKind.SIGNED_IN,
            code_requested=EventKind.CODE_REQUESTED,
            failed=EventKind.SIGN_IN_FAILED,
        ),
    ),
    Kind(
        name=JobKind.IMPORT,
        task="garmin.import",
        queue="login",
        deadline=lambda timings: timings.login_deadline,
        max_runs=2,
        account_lock=AccountLock.ALONE,
        first_stage=JobStage.CONTACTING_GARMIN,
        input=Purpose.IMPORT,
        events=AuditEvents(
            requested=EventKind.IMPORT_REQUESTED,
            succeeded=EventKind.TOKENS_IMPORTED,
            failed=EventKind.IMPORT_FAILED,
        ),
    ),
    Kind(
        name=JobKind.REFRESH,
        task="garmin.refresh",
        queue="refresh",
        deadline=lambda timings: timings.refresh_deadline,
        max_runs=3,
        marked=False,  # the row of the tokens says which run has begun, and whether it has ended
        account_lock=AccountLock.ALONE,
        first_stage=JobStage.CONTACTING_GARMIN,
        events=AuditEvents(succeeded=EventKind.TOKENS_REFRESHED, failed=EventKind.REFRESH_FAILED),
    ),
)

KINDS: dict[JobKind, Kind] = {row.name: row for row in _ROWS}

JOB_QUEUES: tuple[str, ...] = tuple(dict.fromkeys(row.queue for row in _ROWS))

WEBHOOK_TASK = "webhooks.deliver"
WEBHOOK_QUEUE = "webhooks"
"""No job: its messages name an endpoint that has something to hear, in the place of a job's id."""

QUEUES = (*JOB_QUEUES, WEBHOOK_QUEUE)
"""In the order in which workers serve them: people with a code in hand first, webhooks last."""

URGENT_QUEUES = frozenset(row.queue for row in _ROWS if row.urgent)
