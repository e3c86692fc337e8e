"""The responses to submissions and polls, as the document describes them."""

from api.contract import examples
from api.contract.operations import Reply
from api.contract.responses import (
    JobAccepted,
    JobFailed,
    JobInProgress,
    JobMfaRequired,
    JobSucceeded,
    TokenRefreshing,
    TokenResponse,
)

JOB_ACCEPTED = Reply(
    202,
    "The job was enqueued: poll `status_url` with `poll_token`.",
    (JobAccepted,),
    always=("Location", "Retry-After", "RateLimit", "RateLimit-Policy"),
    links={
        "poll": {
            "operationId": "get_job",
            "parameters": {"job_id": "$response.body#/job_id"},
            "description": "With `poll_token` as the bearer token.",
        }
    },
)
JOB = Reply(
    200,
    "The job. `Retry-After` is there until it has ended.",
    (JobInProgress, JobMfaRequired, JobSucceeded, JobFailed),
    sometimes=("Retry-After",),
    examples=examples.JOBS,
    links={
        "send_code": {
            "operationId": "complete_mfa",
            "requestBody": {"challenge_id": "$response.body#/mfa_challenge_id"},
            "description": "If `mfa_challenge_id` is there, with the person's code as `mfa_code`.",
        }
    },
)
TOKEN = Reply(200, "The access token.", (TokenResponse,))
TOKEN_REFRESHING = Reply(
    202,
    "The token is being renewed: repeat the request.",
    (TokenRefreshing,),
    always=("Retry-After",),
)
