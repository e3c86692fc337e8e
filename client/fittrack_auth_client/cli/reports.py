"""What a command prints in the end: lines for a person, data for a program."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from fittrack_auth_client.cli.messages import (
    ExitCode,
    code_was_sent,
    exit_code,
    explain,
    local_time,
    printable,
    rfc3339,
    span,
    stage_text,
)
from fittrack_auth_client.cli.session_file import StoredSession
from fittrack_auth_client.errors import FitTrackAuthError, job_failed
from fittrack_auth_client.models import (
    CodeRequired,
    GarminLink,
    Job,
    JobFailed,
    JobInProgress,
    Session,
    SignedIn,
    Token,
    User,
)
from fittrack_auth_client.secret import Secret
from fittrack_auth_client.token_files import token_file

Json: TypeAlias = dict[str, Any]
Rows: TypeAlias = list[tuple[str, str]]

_LONGEST_SECRET = 4096


@dataclass(frozen=True)
class Report:
    """`rows` are lines with a label, or with an empty one."""

    rows: Rows
    data: Json
    exit_code: ExitCode = ExitCode.DONE


def signed_in(
    signed_in: SignedIn, session: StoredSession, path: Path, *, show_token: bool
) -> Report:
    until = local_time(session.expires_at)
    rows = [
        ("", f"Signed in as {name_of(session.user)}."),
        ("", f"The session lasts until {until} and is kept in {path}"),
    ]
    data: Json = {
        "session_id": session.session_id,
        "user": user_data(session.user),
        "expires_in": signed_in.expires_in,
        "expires_at": rfc3339(session.expires_at),
        "server": session.server,
        "session_file": str(path),
    }
    if show_token:
        token = session.access_token.reveal()
        rows.append(("", f"Access token: {_printable_secret(session.access_token)}"))
        data["access_token"] = token
    return Report(rows, data)


def imported(report: Report, signed_in: SignedIn, place: str) -> Report:
    """Say as well where the tokens came from, and whether they still work there."""
    rows: Rows = [("", f"Imported from {printable(place)}.")]
    if signed_in.exclusive:
        warning = (
            "These tokens were moved: delete them where they came from. "
            "Once one program has renewed them, no other one can."
        )
        rows.append(("", warning))
    return Report(report.rows + rows, {**report.data, "exclusive": bool(signed_in.exclusive)})


def current_session(session: Session, server: str) -> Report:
    garmin = session.garmin
    data: Json = {
        "server": server,
        "session_id": session.session_id,
        "user": user_data(session.user),
        "created_at": rfc3339(session.created_at),
        "expires_at": rfc3339(session.expires_at),
        "garmin": {
            "linked": garmin.linked,
            "domain": garmin.domain,
            "driver": garmin.driver,
            "access_token_expires_at": rfc3339(garmin.access_token_expires_at),
            "refreshable_until": rfc3339(garmin.refreshable_until),
        },
    }
    rows = [
        ("User", f"{name_of(session.user)} ({printable(session.user.id)})"),
        ("Server", server),
        ("Session until", local_time(session.expires_at)),
        *_link_rows(garmin),
    ]
    return Report(rows, data)


def garmin_token(token: Token, library: str | None) -> Report:
    """The token alone, or as a library's file; every field of it for a program."""
    secret = token.access_token.reveal()
    data: Json = {
        "access_token": secret,
        "token_type": "Bearer",
        "expires_at": rfc3339(token.expires_at),
        "expires_in": token.expires_in,
        "api_base": token.api_base,
        "access": token.access,
        "domain": token.domain,
        "method": token.method,
        "user": {
            "id": token.user.id,
            "display_name": token.user.display_name,
            "garmin_display_name": token.user.garmin_display_name,
        },
    }
    return Report([("", token_file(token, library) if library else secret)], data)


def _link_rows(garmin: GarminLink) -> Rows:
    if not garmin.linked:
        return [("Garmin", "not linked: log in again with fittrack-auth login")]
    return [
        ("Garmin", f"linked ({printable(garmin.domain)})" if garmin.domain else "linked"),
        ("Linked through", printable(garmin.driver or "unknown")),
        ("Garmin token until", local_time(garmin.access_token_expires_at)),
        ("Refreshable until", local_time(garmin.refreshable_until)),
    ]


def logged_out(*, everywhere: bool, had_session: bool) -> Report:
    ended = "Logged out everywhere." if everywhere else "Logged out."
    text = ended if had_session else "There was no session: nothing to do."
    return Report([("", text)], {"logged_out": True, "everywhere": everywhere})


def job_state(job: Job, job_id: str, *, show_token: bool) -> Report:
    """`show_token` adds the secrets the job holds: an access token, or a challenge id."""
    rows, data = _particulars(job)
    if show_token:
        for label, key, secret in _secrets(job):
            rows.append((label, _printable_secret(secret)))
            data[key] = secret.reveal()
    head = [("Job", job_id), ("Status", job.status.replace("_", " "))]
    common: Json = {"job_id": job_id, "kind": job.kind, "status": job.status}
    code = exit_code(job_failed(job)) if isinstance(job, JobFailed) else ExitCode.DONE
    return Report(head + rows, common | data, code)


def _particulars(job: Job) -> tuple[Rows, Json]:
    match job:
        case JobInProgress():
            return [("Stage", stage_text(job.stage))], {"stage": job.stage}
        case CodeRequired():
            attempts = "unknown" if job.attempts_left is None else str(job.attempts_left)
            rows = [
                ("Code", code_was_sent(job.mfa_type, job.mfa_destination)),
                ("Attempts left", attempts),
                ("Waits", f"{span(job.expires_in)} more"),
            ]
            return rows, {
                "mfa_required": True,
                "mfa_type": job.mfa_type,
                "mfa_destination": job.mfa_destination,
                "attempts_left": job.attempts_left,
                "expires_in": job.expires_in,
            }
        case SignedIn():
            rows = [("User", name_of(job.user)), ("Session for", span(job.expires_in))]
            return rows, {
                "session_id": job.session_id,
                "expires_in": job.expires_in,
                "user": user_data(job.user),
            }
        case JobFailed():
            error = job_failed(job)
            rows = [("Reason", explain(error))]
            if job.attempts_left is not None:
                rows.append(("Attempts left", str(job.attempts_left)))
            return rows, {"error": error_data(error), "attempts_left": job.attempts_left}


def _secrets(job: Job) -> list[tuple[str, str, Secret]]:
    if isinstance(job, SignedIn):
        return [("Access token", "access_token", job.access_token)]
    if isinstance(job, CodeRequired | JobFailed) and job.challenge_id is not None:
        return [("Challenge id", "mfa_challenge_id", job.challenge_id)]
    return []


def _printable_secret(secret: Secret) -> str:
    return printable(secret.reveal(), _LONGEST_SECRET)


def error_data(error: FitTrackAuthError) -> Json:
    return {"code": error.code, "message": explain(error), "retry_after": error.retry_after}


def user_data(user: User) -> Json:
    return {"id": user.id, "display_name": user.display_name}


def name_of(user: User) -> str:
    return printable(user.display_name or user.id)
