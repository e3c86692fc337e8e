"""The operations of connect sessions, and what the document says of them."""

from api.contract import parameters
from api.contract.connect import (
    ConnectCodeRequest,
    ConnectImportRequest,
    ConnectPasswordRequest,
    ConnectSessionCreated,
    ConnectSessionRequest,
    ConnectSessionResponse,
    ConnectState,
)
from api.contract.operations import Operation, Reply, Security, Tag
from api.http.errors import NotFoundError
from api.routes import connect, connect_sessions
from api.routes.problem_examples import BODY, DATABASE_AWAY, REDIS_AWAY, full, invalid
from shared.connect.errors import ConnectSessionEndedError, ConnectSessionNotFoundError
from shared.errors import (
    ChallengeBusyError,
    GarminRefusesError,
    ScopeMissingError,
    SignInInProgressError,
    UnauthorizedError,
    UnknownClientError,
)
from shared.jobs.account_limit import TooManyCodesError, TooManyFailedSignInsError
from shared.jobs.challenges import ResendNotPossibleError
from shared.redis.rate_limits import (
    CODE_PER_CHALLENGE,
    CODE_PER_IP,
    CODES_PER_ACCOUNT,
    LOGIN_PER_ACCOUNT,
    LOGIN_PER_CLIENT,
    LOGIN_PER_IP,
    RateLimitedError,
)

_STATE = Reply(200, "What the page shows.", (ConnectState,))
_PAGE_PROBLEMS = (UnauthorizedError(), REDIS_AWAY, DATABASE_AWAY)
_STEP_PROBLEMS = (
    *_PAGE_PROBLEMS,
    ConnectSessionEndedError(),
    SignInInProgressError(retry_after=2),
)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/api/connect-sessions",
        connect_sessions.create_session,
        "create_connect_session",
        Tag.CONNECT,
        "Have a person connect on a page",
        "Creates a connect session and returns the address to send the person to. Your app sees "
        "neither a password nor a code. The address works for 15 minutes, longer while a sign-in "
        "goes on, until the person has connected.",
        Reply(201, "The session.", (ConnectSessionCreated,)),
        (
            invalid(
                "body",
                "return_url",
                message="must be of an origin that is registered with the app",
            ),
            *BODY,
            UnknownClientError(),
            ScopeMissingError(),
            RateLimitedError(full(LOGIN_PER_CLIENT)),
            DATABASE_AWAY,
            REDIS_AWAY,
        ),
        body=ConnectSessionRequest,
        security=Security.CLIENT_KEY,
    ),
    Operation(
        "GET",
        "/api/connect-sessions/{session_id}",
        connect_sessions.get_session,
        "get_connect_session",
        Tag.CONNECT,
        "See how far a connect session has come",
        "Tells whether the person has connected. Believe this, or a webhook, and not what a "
        "browser says. A session can be read for a day after its end.",
        Reply(200, "The session.", (ConnectSessionResponse,)),
        (
            UnknownClientError(),
            ScopeMissingError(),
            ConnectSessionNotFoundError(),
            NotFoundError(),
            DATABASE_AWAY,
            REDIS_AWAY,
        ),
        parameters=(parameters.CONNECT_SESSION_ID,),
        security=Security.CLIENT_KEY,
    ),
    Operation(
        "GET",
        "/api/connect",
        connect.get_state,
        "get_connect_state",
        Tag.CONNECT,
        "Get what the connect page shows",
        "For the connect page. With `wait`, the response comes as soon as the job changes that "
        "the page waits for.",
        _STATE,
        (
            invalid("query", "wait", message="must be a whole number of seconds from 0 to 30"),
            *_PAGE_PROBLEMS,
        ),
        parameters=(parameters.WAIT, parameters.SEEN),
        security=Security.CONNECT_TOKEN,
    ),
    Operation(
        "POST",
        "/api/connect/password",
        connect.submit_password,
        "connect_password",
        Tag.CONNECT,
        "Sign in, from the connect page",
        "For the connect page. Limits count the person's address and Garmin account.",
        _STATE,
        (
            invalid("body", "username", message="Field required"),
            *BODY,
            *_STEP_PROBLEMS,
            RateLimitedError(full(LOGIN_PER_IP)),
            TooManyFailedSignInsError(full(LOGIN_PER_ACCOUNT)),
            TooManyCodesError(full(CODES_PER_ACCOUNT)),
            GarminRefusesError(retry_after=1800),
        ),
        body=ConnectPasswordRequest,
        security=Security.CONNECT_TOKEN,
    ),
    Operation(
        "POST",
        "/api/connect/import",
        connect.submit_import,
        "connect_import",
        Tag.CONNECT,
        "Import tokens or a key, from the connect page",
        "For the connect page. Counts as a sign-in.",
        _STATE,
        (
            invalid("body", message="needs one of tokens and personal_api_key, and not both"),
            *BODY,
            *_STEP_PROBLEMS,
            RateLimitedError(full(LOGIN_PER_IP)),
        ),
        body=ConnectImportRequest,
        security=Security.CONNECT_TOKEN,
    ),
    Operation(
        "POST",
        "/api/connect/code",
        connect.submit_code,
        "connect_code",
        Tag.CONNECT,
        "Send the one-time code, from the connect page",
        "For the connect page. Where no code is waited for any more, the response says so.",
        _STATE,
        (
            invalid("body", "code", message="must be 4 to 10 letters or digits"),
            *BODY,
            *_STEP_PROBLEMS,
            ChallengeBusyError(retry_after=5),
            RateLimitedError(full(CODE_PER_CHALLENGE)),
            TooManyFailedSignInsError(full(LOGIN_PER_ACCOUNT)),
        ),
        body=ConnectCodeRequest,
        security=Security.CONNECT_TOKEN,
    ),
    Operation(
        "POST",
        "/api/connect/resend",
        connect.resend_code,
        "connect_resend",
        Tag.CONNECT,
        "Have the code sent again, from the connect page",
        "For the connect page, where the state has `resend_in`.",
        _STATE,
        (
            *_STEP_PROBLEMS,
            ChallengeBusyError(retry_after=5),
            ResendNotPossibleError(retry_after=12),
            RateLimitedError(full(CODE_PER_IP)),
            TooManyCodesError(full(CODES_PER_ACCOUNT)),
        ),
        security=Security.CONNECT_TOKEN,
    ),
    Operation(
        "POST",
        "/api/connect/restart",
        connect.restart,
        "connect_restart",
        Tag.CONNECT,
        "Begin again, from the connect page",
        "For the connect page: gives up the code that is waited for.",
        _STATE,
        _STEP_PROBLEMS,
        security=Security.CONNECT_TOKEN,
    ),
    Operation(
        "POST",
        "/api/connect/cancel",
        connect.cancel,
        "connect_cancel",
        Tag.CONNECT,
        "Cancel, from the connect page",
        "For the connect page: ends the session. Not while a job runs, which may still succeed.",
        _STATE,
        _STEP_PROBLEMS,
        security=Security.CONNECT_TOKEN,
    ),
)
