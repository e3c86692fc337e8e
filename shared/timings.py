"""How long everything may take: leases, deadlines, pauses and waits for an answer."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timings:
    """One set for a process, made in its entry file and handed on. All values are in seconds.

    The defaults are the ones for production. A shorter set lets the test suite run the same
    programs in less time; see `dev/short/`.
    """

    login_deadline: float = 120.0
    """Longest run of a sign-in, Garmin's answers included."""

    code_deadline: float = 60.0
    """Longest check of a one-time code."""

    refresh_deadline: float = 60.0
    """Longest refresh of tokens, at most three requests to Garmin."""

    lease: float = 15.0
    """How long a job stays with a worker that has stopped renewing its lease.

    Shorter than `visibility_timeout`: when the message comes back, the job can be claimed.
    """

    lease_renewal: float = 3.0
    lease_renewal_retry: float = 0.5
    """Pause between two renewals, and after one that Redis did not answer."""

    visibility_timeout: int = 20
    """After how long the broker gives the message of a dead worker to another one."""

    redelivery_interval: int = 2
    """How often each worker looks for such messages."""

    redelivery_lock: int = 10
    """How long a worker that died while redelivering keeps the others from it."""

    lost_message: float = 30.0
    """When to look whether a job without a worker still has its message, and how often then.

    Longer than a message needs from a worker that took it to the claim of its job.
    """

    retry_delay: float = 5.0
    """When a worker tries a job again that another one holds, or that could not be stored."""

    share_delay: float = 0.2
    share_longest_delay: float = 10.0
    """How far apart the jobs come back whose address or app holds its share of a worker's threads,
    and how long one of them is put off. Shorter than `visibility_timeout`."""

    unsent_job: float = 15.0
    """How long a job whose message was never confirmed blocks other sign-ins of its account."""

    outcome_ttl: int = 120
    """How long the outcome of a job can be polled, at least."""

    progress_ttl: int = 86_400
    """How long tokens wait for a database that is down, at least."""

    resend_pause: int = 30
    """How long Garmin wants between two codes."""

    challenge_reservation: int = 120
    """How long a job that checks a code keeps other codes away; longer than two lost workers."""

    redis_answer_api: float = 0.8
    """For one answer of Redis, in the API: a submission has to end within three seconds."""

    refresh_hold: float = 180.0
    """How long a job that has begun to refresh tokens keeps other jobs from them; longer than two
    lost workers."""

    database_queue: float = 0.25
    """How long a request waits for one of the API's database threads before it is answered 503."""

    poll_queue: float = 5.0
    """How long the read of a polled job waits for a free connection to Redis, and that of a stored
    token for one to the database."""

    redis_answer_worker: float = 5.0
    redis_patience_worker: float = 30.0
    """For one answer of Redis, in a worker, and how long a failed command is repeated."""

    redis_memory_pause: float = 1.0
    """Before a command is repeated that Redis refused for lack of memory."""

    notification_answer: float = 10.0
    notification_silence: float = 5.0
    notification_pong: float = 2.0
    notification_reconnect: float = 0.5
    """For the subscription that long polls wait on: an answer, silence before a ping, the answer to
    that, a pause before the next connection."""

    notification_reading: float = 2.0
    """How often waiting polls read their jobs while there is no subscription."""

    database_connect: int = 2
    database_statement: int = 10
    database_answer: float = 15.0
    """For a connection to PostgreSQL, one statement at the server, and the server's answer."""

    mark_answer: int = 2
    mark_pause: float = 10.0
    """For the database's answer where it is written down how far a job has come, and how long it
    is not asked for that again once it gave none."""

    store_patience: float = 10.0
    """How long a worker tries to store tokens before it gives the job back."""

    profile_patience: float = 20.0
    """How long a profile is waited for whose owner the tokens themselves name."""

    store_margin: float = 15.0
    """What a wait for a profile leaves of the deadline, for storing the tokens."""

    longest_pause: float = 5.0
    """The longest pause between two tries of the same step."""

    garmin_connect: float = 4.0
    garmin_answer: float = 10.0
    """For a connection to Garmin, and for one whole answer, connecting included.

    Garmin answers within a second or two. An account for which it never answers keeps a thread
    of a worker for as long as this.
    """

    consumer_answer: float = 4.0
    """How long a sign-in waits for garth's OAuth consumer, from Redis or from its file."""

    consumer_retry: float = 30.0
    """How long the file counts as missing, or its content as current, after it was fetched."""

    garmin_retry: float = 0.5
    """Pause before an OAuth2 exchange that failed is repeated; twice as long the second time."""

    garminconnect_delays: float = 1.0
    """Factor for the random delays that garminconnect puts before it posts a password."""

    key_recheck: float = 600.0
    """How long after Garmin refused a Personal API key it has to refuse it again."""

    delivery_interval: float = 1.0
    delivery_retry: float = 5.0
    """Pause between two deliveries of audit events to the database, and after a failed one."""

    measurements_interval: float = 5.0
    """How often each worker brings what it has counted to Redis."""

    sweep_interval: float = 5.0
    """How often each worker looks for jobs whose message is lost."""

    keep_alive_interval: float = 10.0
    """How often each worker looks for connections that have to be kept alive."""

    webhook_interval: float = 1.0
    """How often each worker looks for webhooks that are due."""

    webhook_connect: float = 5.0
    webhook_answer: float = 15.0
    """For a connection to a webhook's receiver, and for one whole answer, connecting included."""

    webhook_claim: float = 60.0
    """How long an endpoint, and each delivery to it, stays with the worker that has claimed it."""

    webhook_report: float = 10.0
    """How often each worker reports for how long the oldest event has waited."""

    faults_interval: float = 60.0
    """How often each worker looks at how Redis is set up, and at its disk."""

    deployment_mark: float = 60.0
    deployment_renewal: float = 10.0
    """How long the names in Redis stay a deployment's after its last process, and how often each
    renews that."""

    heartbeat_interval: float = 5.0
    """How often a worker touches its heartbeat file; its health check waits for 30 seconds."""

    retention_interval: float = 3600.0
    """How often events and ended sessions past their retention are deleted."""


PRODUCTION = Timings()
