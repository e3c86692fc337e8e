"""Every operation of the API: which endpoint serves it, and what the document says of it."""

from datetime import UTC, datetime

from api.contract import parameters, replies
from api.contract.operations import Operation, Reply, Security, Tag
from api.contract.requests import (
    CodeRequest,
    ImportRequest,
    LoginRequest,
    ResendRequest,
    TokenRequest,
)
from api.contract.responses import (
    ClientLinkResponse,
    ConnectionsResponse,
    Health,
    Readiness,
    SessionResponse,
)
from api.http.errors import (
    NotFoundError,
    NotReadyError,
)
from api.routes import connect_table, connections, health, jobs, sessions, sign_in, tokens
from api.routes.problem_examples import BODY, DATABASE_AWAY, REDIS_AWAY, full, invalid
from shared.broker.errors import RefreshFailedError, SignInRequiredError
from shared.errors import (
    ChallengeBusyError,
    ChallengeNotFoundError,
    GarminRefusesError,
    IdempotencyKeyReusedError,
    JobNotFoundError,
    LinkNotFoundError,
    ScopeMissingError,
    SignInInProgressError,
    UnauthorizedError,
    UnknownClientError,
)
from shared.jobs.account_limit import TooManyCodesError, TooManyFailedSignInsError
from shared.jobs.cancellation import JobNotCancellableError
from shared.jobs.challenges import ResendNotPossibleError
from shared.redis.rate_limits import (
    CODE_PER_CHALLENGE,
    CODE_PER_IP,
    CODES_PER_ACCOUNT,
    LOGIN_PER_ACCOUNT,
    LOGIN_PER_IP,
    TOKENS_PER_CLIENT,
    RateLimitedError,
)

_BODY_PROBLEMS = (
    *BODY,
    UnknownClientError(),
    ScopeMissingError(),
    IdempotencyKeyReusedError(),
)
_SESSION_PROBLEMS = (UnauthorizedError(), DATABASE_AWAY)
# `not_found`: an id that no path can hold, such as one with a line break.
_A_MOMENT = datetime(2026, 11, 2, 8, tzinfo=UTC)
_TOKEN_PROBLEMS = (
    *BODY,
    invalid("body", "min_valid_for", message="Input should be less than or equal to 3600"),
    ScopeMissingError(),
    LinkNotFoundError(),
    SignInRequiredError("rejected", _A_MOMENT),
    DATABASE_AWAY,
    REDIS_AWAY,
    RefreshFailedError(retry_after=90),
)
_LINK_PROBLEMS = (
    UnknownClientError(),
    ScopeMissingError(),
    LinkNotFoundError(),
    NotFoundError(),
    DATABASE_AWAY,
)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/api/garmin/login",
        sign_in.login,
        "login",
        Tag.SIGN_IN,
        "Sign in to Garmin",
        "Starts a sign-in and returns a job at once; a worker then asks Garmin. One sign-in runs "
        "at a time for one Garmin account. The password is encrypted before it is queued, and "
        "deleted when the job ends. With `X-Client-Key`, `user_id` connects the Garmin account to "
        "that id of your app.",
        replies.JOB_ACCEPTED,
        (
            invalid("body", "username", message="Field required"),
            *_BODY_PROBLEMS,
            SignInInProgressError(retry_after=20),
            RateLimitedError(full(LOGIN_PER_IP)),
            TooManyFailedSignInsError(full(LOGIN_PER_ACCOUNT)),
            TooManyCodesError(full(CODES_PER_ACCOUNT)),
            REDIS_AWAY,
            GarminRefusesError(retry_after=1800),
        ),
        body=LoginRequest,
        parameters=(parameters.IDEMPOTENCY_KEY,),
        security=Security.CLIENT_KEY,
        security_optional=True,
    ),
    Operation(
        "POST",
        "/api/garmin/login/mfa-complete",
        sign_in.complete_mfa,
        "complete_mfa",
        Tag.SIGN_IN,
        "Send the one-time code",
        "Sends the code that Garmin gave the person, as a new job with a poll token of its own. "
        "After a wrong code the challenge stays open while the job has `attempts_left`. Only the "
        "app that started the sign-in can complete it.",
        replies.JOB_ACCEPTED,
        (
            invalid("body", "mfa_code", message="must be 4 to 10 letters or digits"),
            *_BODY_PROBLEMS,
            ChallengeNotFoundError(),
            ChallengeBusyError(retry_after=5),
            RateLimitedError(full(CODE_PER_CHALLENGE)),
            TooManyFailedSignInsError(full(LOGIN_PER_ACCOUNT)),
            REDIS_AWAY,
        ),
        body=CodeRequest,
        parameters=(parameters.IDEMPOTENCY_KEY,),
        security=Security.CLIENT_KEY,
        security_optional=True,
    ),
    Operation(
        "POST",
        "/api/garmin/login/mfa-resend",
        sign_in.resend_code,
        "resend_code",
        Tag.SIGN_IN,
        "Have the one-time code sent again",
        "Has Garmin send the code again, as a new job that ends as `mfa_required` with the same "
        "challenge. Not every sign-in can do that, and none sooner than 30 seconds after the last "
        "code.",
        replies.JOB_ACCEPTED,
        (
            invalid("body", "challenge_id", message="Field required"),
            *_BODY_PROBLEMS,
            ChallengeNotFoundError(),
            ChallengeBusyError(retry_after=5),
            ResendNotPossibleError(retry_after=12),
            RateLimitedError(full(CODE_PER_IP)),
            TooManyCodesError(full(CODES_PER_ACCOUNT)),
            REDIS_AWAY,
        ),
        body=ResendRequest,
        parameters=(parameters.IDEMPOTENCY_KEY,),
        security=Security.CLIENT_KEY,
        security_optional=True,
    ),
    Operation(
        "POST",
        "/api/garmin/import",
        sign_in.import_tokens,
        "import_tokens",
        Tag.SIGN_IN,
        "Import tokens or a key",
        "Connects with what the person already has, in place of a sign-in: tokens that garth or "
        "garminconnect has stored, or a Personal API key. Returns a job at once; a worker asks "
        "Garmin whose they are. Tokens of garminconnect are moved: where they came from, they "
        "can't be renewed any more. Counts as a sign-in for the limits.",
        replies.JOB_ACCEPTED,
        (
            invalid("body", message="needs one of tokens and personal_api_key, and not both"),
            *_BODY_PROBLEMS,
            SignInInProgressError(retry_after=20),
            RateLimitedError(full(LOGIN_PER_IP)),
            REDIS_AWAY,
        ),
        body=ImportRequest,
        parameters=(parameters.IDEMPOTENCY_KEY,),
        security=Security.CLIENT_KEY,
        security_optional=True,
    ),
    Operation(
        "GET",
        "/api/jobs/{job_id}",
        jobs.get_job,
        "get_job",
        Tag.SIGN_IN,
        "Poll a job",
        "Returns the job's stage, or its result. With `wait`, the response comes as soon as the "
        "job changes: name the stage you last saw as `seen`, so that a change between two polls "
        "is answered at once. A job that failed is a 200 with `error`; an unknown job and a wrong "
        "poll token get the same 404.",
        replies.JOB,
        (
            UnauthorizedError(),
            JobNotFoundError(),
            NotFoundError(),
            invalid("query", "wait", message="must be a whole number of seconds from 0 to 30"),
            REDIS_AWAY,
        ),
        parameters=(parameters.JOB_ID, parameters.WAIT, parameters.SEEN),
        security=Security.POLL_TOKEN,
    ),
    Operation(
        "DELETE",
        "/api/jobs/{job_id}",
        jobs.delete_job,
        "delete_job",
        Tag.SIGN_IN,
        "Cancel a job",
        "Cancels a job that is queued, or waits for a code: its challenge is closed. A job that "
        "talks to Garmin ends by itself, and its result is not used; its account is free then. "
        "From now on a poll says `failed` with the error `cancelled`.",
        Reply(204, "The job is cancelled."),
        (
            UnauthorizedError(),
            JobNotFoundError(),
            NotFoundError(),
            JobNotCancellableError(),
            REDIS_AWAY,
        ),
        parameters=(parameters.JOB_ID,),
        security=Security.POLL_TOKEN,
    ),
    Operation(
        "GET",
        "/api/session",
        sessions.get_session,
        "get_session",
        Tag.SESSIONS,
        "Get the session",
        "Tells whose access token this is, until when the session lives, and whether Garmin is "
        "still connected. Each use keeps an idle session alive.",
        Reply(200, "The session.", (SessionResponse,)),
        _SESSION_PROBLEMS,
        security=Security.ACCESS_TOKEN,
    ),
    Operation(
        "DELETE",
        "/api/session",
        sessions.delete_session,
        "delete_session",
        Tag.SESSIONS,
        "Log out",
        "Ends this session. Others go on, and Garmin stays connected.",
        Reply(204, "The session has ended."),
        _SESSION_PROBLEMS,
        security=Security.ACCESS_TOKEN,
    ),
    Operation(
        "DELETE",
        "/api/sessions",
        sessions.delete_sessions,
        "delete_sessions",
        Tag.SESSIONS,
        "Log out everywhere",
        "Ends every session of the person, this one included, and sign-ins that are still going "
        "on. Garmin stays connected.",
        Reply(204, "Every session has ended."),
        _SESSION_PROBLEMS,
        security=Security.ACCESS_TOKEN,
    ),
    Operation(
        "DELETE",
        "/api/garmin/tokens",
        sessions.delete_tokens,
        "delete_tokens",
        Tag.CONNECTIONS,
        "Disconnect Garmin, as the person",
        "Deletes the person's Garmin tokens, every app's connection to them, and every session, "
        "this one included. Sign-ins that are still going on end too.",
        Reply(204, "Garmin is disconnected."),
        _SESSION_PROBLEMS,
        security=Security.ACCESS_TOKEN,
    ),
    Operation(
        "GET",
        "/api/users",
        connections.list_links,
        "list_links",
        Tag.CONNECTIONS,
        "List connections, as an app",
        "Returns your app's connections, page by page, in the order of your user ids. A connection "
        "that stays is on one page, whatever is added or removed meanwhile.",
        Reply(200, "A page of connections.", (ConnectionsResponse,)),
        (
            UnknownClientError(),
            ScopeMissingError(),
            invalid("query", "limit", message="must be a whole number from 1 to 200"),
            DATABASE_AWAY,
        ),
        parameters=(parameters.STATE, parameters.LIMIT, parameters.CURSOR),
        security=Security.CLIENT_KEY,
    ),
    Operation(
        "GET",
        "/api/users/{user_id:path}/garmin",  # an app's ids may contain anything, slashes too
        connections.get_link,
        "get_link",
        Tag.CONNECTIONS,
        "Get a connection, as an app",
        "Tells which Garmin account is connected to this id of your app, and whether its tokens "
        "can still be refreshed. Connections of other apps are not found.",
        Reply(200, "The connection.", (ClientLinkResponse,)),
        _LINK_PROBLEMS,
        parameters=(parameters.USER_ID,),
        security=Security.CLIENT_KEY,
    ),
    Operation(
        "DELETE",
        "/api/users/{user_id:path}/garmin",
        connections.delete_link,
        "delete_link",
        Tag.CONNECTIONS,
        "Remove a connection, as an app",
        "Removes the connection, and ends the person's sessions and sign-ins that your app began. "
        "Their tokens are deleted too, unless another connection or a session that was opened "
        "without your app uses them.",
        Reply(204, "The connection is removed."),
        _LINK_PROBLEMS,
        parameters=(parameters.USER_ID,),
        security=Security.CLIENT_KEY,
    ),
    Operation(
        "POST",
        "/api/users/{user_id:path}/garmin/token",
        tokens.client_token,
        "client_token",
        Tag.CONNECTIONS,
        "Get an access token, as an app",
        "Returns Garmin's access token of this connection. One that is not valid for long enough "
        "is renewed first, once for all who ask. If that takes longer than `wait` seconds, repeat "
        "the request. If Garmin answers a token with 401, send its SHA-256 as `rejected`.",
        replies.TOKEN,
        (
            UnknownClientError(),
            NotFoundError(),
            RateLimitedError(full(TOKENS_PER_CLIENT)),
            *_TOKEN_PROBLEMS,
        ),
        body=TokenRequest,
        body_optional=True,
        other_replies=(replies.TOKEN_REFRESHING,),
        parameters=(parameters.USER_ID, parameters.WAIT),
        security=Security.CLIENT_KEY,
    ),
    Operation(
        "POST",
        "/api/garmin/token",
        tokens.session_token,
        "session_token",
        Tag.CONNECTIONS,
        "Get an access token, as the person",
        "Returns Garmin's access token of the person whose session it is. The same as for an app, "
        "unless the operator has turned it off.",
        replies.TOKEN,
        (UnauthorizedError(), *_TOKEN_PROBLEMS),
        body=TokenRequest,
        body_optional=True,
        other_replies=(replies.TOKEN_REFRESHING,),
        parameters=(parameters.WAIT,),
        security=Security.ACCESS_TOKEN,
    ),
    Operation(
        "GET",
        "/healthz",
        health.healthz,
        "healthz",
        Tag.MONITORING,
        "Check that the process is alive",
        "Always succeeds, and asks nothing of Redis or the database.",
        Reply(200, "Alive.", (Health,)),
    ),
    Operation(
        "GET",
        "/readyz",
        health.readyz,
        "readyz",
        Tag.MONITORING,
        "Check that the service is ready",
        "Succeeds if Redis and the database answer. Otherwise `unavailable` names those that "
        "don't. What answers, but can lose sign-ins, is named in `degraded`.",
        Reply(200, "Ready.", (Readiness,)),
        (NotReadyError(["redis", "database"]),),
    ),
    Operation(
        "GET",
        "/metrics",
        health.metrics,
        "metrics",
        Tag.MONITORING,
        "Get metrics for Prometheus",
        "The requests of this process, and the jobs, queues and Garmin libraries of the whole "
        "service. Keep it off the public internet.",
        Reply(200, "Metrics in Prometheus' text format.", media_type="text/plain"),
    ),
    *connect_table.OPERATIONS,
)
