"""Parameters and headers of requests, as the document describes them."""

from api.contract import requests
from api.contract.operations import Parameter
from shared.accounts.states import ConnectionState
from shared.jobs.states import JobStage

JOB_ID = Parameter(
    "job_id", "path", "The job's id.", {"type": "string", "pattern": requests.JOB_ID.pattern}
)
WAIT = Parameter(
    "wait",
    "query",
    "How many seconds to wait for a change.",
    {"type": "integer", "minimum": 0, "maximum": requests.MAX_WAIT_SECONDS, "default": 0},
)
SEEN = Parameter(
    "seen",
    "query",
    "The `stage` of the last response: answer at once if the job has left it.",
    {"type": "string", "enum": list(JobStage)},
)
USER_ID = Parameter(
    "user_id",
    "path",
    "Your own id for the person, percent-encoded, slashes included.",
    {"type": "string", "pattern": requests.USER_ID.pattern},
)
STATE = Parameter(
    "state",
    "query",
    "Only connections in this state.",
    {"type": "string", "enum": list(ConnectionState)},
)
LIMIT = Parameter(
    "limit",
    "query",
    "How many connections to return at most.",
    {
        "type": "integer",
        "minimum": 1,
        "maximum": requests.MAX_PAGE,
        "default": requests.DEFAULT_PAGE,
    },
)
CURSOR = Parameter(
    "cursor",
    "query",
    "The `next_cursor` of the page before.",
    {"type": "string", "pattern": requests.CURSOR.pattern},
)
CONNECT_SESSION_ID = Parameter(
    "session_id",
    "path",
    "The connect session's id.",
    {"type": "string", "pattern": requests.JOB_ID.pattern},
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "A new random key, such as a UUID, for each submission. Repeat a request with the same key "
    "and body to get the same job.",
    {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": requests.IDEMPOTENCY_KEY.pattern,
    },
)
