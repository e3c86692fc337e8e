"""Every error code: those of the contract, and this program's own."""

from enum import StrEnum


class Code(StrEnum):
    # How a job fails.
    INVALID_CREDENTIALS = "invalid_credentials"
    MFA_CODE_INVALID = "mfa_code_invalid"
    MFA_ATTEMPTS_EXHAUSTED = "mfa_attempts_exhausted"
    ACCOUNT_LOCKED = "account_locked"
    CAPTCHA_REQUIRED = "captcha_required"
    GARMIN_RATE_LIMITED = "garmin_rate_limited"
    GARMIN_UNAVAILABLE = "garmin_unavailable"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed_out"

    # What the service refuses a request with.
    INVALID_REQUEST = "invalid_request"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNAUTHORIZED = "unauthorized"
    JOB_NOT_FOUND = "job_not_found"
    CHALLENGE_NOT_FOUND = "challenge_not_found"
    CHALLENGE_BUSY = "challenge_busy"
    SIGN_IN_IN_PROGRESS = "sign_in_in_progress"
    RATE_LIMITED = "rate_limited"
    SERVICE_UNAVAILABLE = "service_unavailable"
    INTERNAL_ERROR = "internal_error"

    # What only this side can see.
    SERVICE_UNREACHABLE = "service_unreachable"
    ANSWER_LOST = "answer_lost"
    TLS_FAILED = "tls_failed"
    UNEXPECTED_ANSWER = "unexpected_answer"
    CLIENT_KEY_NEEDED = "client_key_needed"
    NO_RESULT_IN_TIME = "no_result_in_time"
    CODE_NOT_IN_TIME = "code_not_in_time"
    NOT_SIGNED_IN = "not_signed_in"
    OTHER_SERVER = "other_server"
    OTHERS_LEFT_OPEN = "others_left_open"
    BAD_SERVER = "bad_server"
    INSECURE_SERVER = "insecure_server"
    BAD_ENVIRONMENT = "bad_environment"
    MISSING_INPUT = "missing_input"
    BAD_INPUT = "bad_input"
    SESSION_FILE = "session_file"
    CANCELLED = "cancelled"
