"""Example values of the OpenAPI document."""

from typing import Any

SECRET = "q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6j7k8l9z0x1c"  # noqa: S105 - 43 characters
JOB_ID = "0b6d5d0e-6e0e-4a53-9a3e-4f5b1c0f7a11"
SESSION_ID = "5c2f7b90-1d3e-4f6a-8b7c-9d0e1f2a3b4c"
USER = {"id": "7e1d2c3b-4a59-4687-9f0e-1d2c3b4a5968", "display_name": "runner"}
LINK: dict[str, Any] = {
    "linked": True,
    "state": "active",
    "state_reason": None,
    "state_since": "2026-11-01T08:00:00Z",
    "access": "read_write",
    "method": "password",
    "domain": "garmin.com",
    "driver": "garth",
    "access_token_expires_at": "2026-11-02T08:00:00Z",
    "refreshable_until": "2027-11-01T08:00:00Z",
}

LOGIN: dict[str, Any] = {"username": "runner@example.com", "password": "correct horse"}
CODE: dict[str, Any] = {"challenge_id": SECRET, "mfa_code": "123 456"}

IMPORT: dict[str, Any] = {
    "tokens": {
        "di_token": SECRET,
        "di_refresh_token": SECRET,
        "di_client_id": "GARMIN_CONNECT_MOBILE_ANDROID_DI_2025Q2",
    },
    "domain": "garmin.com",
}
KEY_IMPORT: dict[str, Any] = {"personal_api_key": SECRET}

TOKEN_REQUEST: dict[str, Any] = {"min_valid_for": 300}
TOKEN: dict[str, Any] = {
    "access_token": SECRET,
    "token_type": "Bearer",
    "expires_at": "2026-11-02T08:00:00Z",
    "expires_in": 84123,
    "api_base": "https://connectapi.garmin.com",
    "access": "read_write",
    "domain": "garmin.com",
    "method": "password",
    "user": {**USER, "garmin_display_name": "runner"},
}

CONNECT_SESSION_REQUEST: dict[str, Any] = {
    "user_id": "member-4711",
    "return_url": "https://app.example/settings",
    "locale": "de",
    "methods": ["password"],
}
CONNECT_SESSION_CREATED: dict[str, Any] = {
    "id": SESSION_ID,
    "url": f"https://auth.example/connect#{SECRET}",
    "expires_at": "2026-11-02T08:15:00Z",
}
CONNECT_SESSIONS: list[Any] = [
    {
        "id": SESSION_ID,
        "user_id": "member-4711",
        "status": "connected",
        "expires_at": "2026-11-02T08:15:00Z",
        "user": USER,
    },
    {
        "id": SESSION_ID,
        "user_id": "member-4711",
        "status": "failed",
        "expires_at": "2026-11-02T08:15:00Z",
        "error": {
            "code": "invalid_credentials",
            "message": "Garmin rejected the username or the password.",
        },
    },
]
CONNECT_STATE: dict[str, Any] = {
    "id": SESSION_ID,
    "status": "code_required",
    "app": {
        "name": "My App",
        "light": {"accent": "#0b62c4", "on_accent": "#ffffff"},
        "dark": {"accent": "#6aa7f0", "on_accent": "#000000"},
    },
    "domain": "garmin.com",
    "methods": ["password"],
    "locale": "de",
    "return_url": "https://app.example/settings",
    "embed_origin": None,
    "expires_in": 840,
    "step": None,
    "code": {
        "type": "email",
        "destination": "ru*****@example.com",
        "expires_in": 600,
        "attempts_left": 3,
        "resend_in": None,
    },
    "error": None,
    "user": None,
}

JOB_ACCEPTED: dict[str, Any] = {
    "job_id": JOB_ID,
    "status": "queued",
    "poll_token": SECRET,
    "status_url": f"/api/jobs/{JOB_ID}",
    "expires_in": 900,
}
SESSION: dict[str, Any] = {
    "session_id": SESSION_ID,
    "user": USER,
    "created_at": "2026-11-01T08:00:00Z",
    "expires_at": "2026-12-01T08:00:00Z",
    "garmin": LINK,
}
CLIENT_LINK: dict[str, Any] = {"user_id": "member-4711", "user": USER, "garmin": LINK}
CONNECTIONS: dict[str, Any] = {"connections": [CLIENT_LINK], "next_cursor": "MW1lbWJlci00NzEx"}

JOBS: dict[str, dict[str, Any]] = {
    "running": {
        "job_id": JOB_ID,
        "kind": "login",
        "status": "running",
        "stage": "contacting_garmin",
        "success": False,
        "mfa_required": False,
    },
    "mfa_required": {
        "job_id": JOB_ID,
        "kind": "login",
        "status": "mfa_required",
        "success": False,
        "mfa_required": True,
        "mfa_challenge_id": SECRET,
        "mfa_type": "email",
        "mfa_destination": "ru*****@example.com",
        "expires_in": 600,
        "attempts_left": 3,
    },
    "succeeded": {
        "job_id": JOB_ID,
        "kind": "mfa_completion",
        "status": "succeeded",
        "success": True,
        "mfa_required": False,
        "session_id": SESSION_ID,
        "access_token": SECRET,
        "token_type": "Bearer",
        "expires_in": 2592000,
        "user": USER,
    },
    "imported": {
        "job_id": JOB_ID,
        "kind": "import",
        "status": "succeeded",
        "success": True,
        "mfa_required": False,
        "session_id": SESSION_ID,
        "access_token": SECRET,
        "token_type": "Bearer",
        "expires_in": 2592000,
        "user": USER,
        "exclusive": True,
    },
    "failed": {
        "job_id": JOB_ID,
        "kind": "mfa_completion",
        "status": "failed",
        "success": False,
        "mfa_required": False,
        "error": {
            "code": "mfa_code_invalid",
            "message": "Garmin rejected the code.",
            "retry_after": None,
        },
        "attempts_left": 2,
        "mfa_challenge_id": SECRET,
    },
}
"""A job in each of its states."""
