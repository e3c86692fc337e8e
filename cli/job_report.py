"""How a job is doing, said at one moment."""

from pydantic import JsonValue, SecretStr

from cli.answers import CodeAsked, Failed, Job, Succeeded, UnderWay
from cli.messages import ExitCode, code_was_sent, exit_code, explain, span, stage_text
from cli.reports import Report, error_data, name_of, table, user_data
from cli.sign_in import failure

type Rows = list[tuple[str, str]]
type Data = dict[str, JsonValue]


def job_state(job: Job, job_id: str, *, show_token: bool) -> Report:
    """`show_token` adds the secrets the job holds: an access token, or a challenge id."""
    rows, data = _particulars(job)
    if show_token:
        for label, key, secret in _secrets(job):
            rows.append((label, secret.get_secret_value()))
            data[key] = secret.get_secret_value()
    head = [("Job", job_id), ("Status", job.status.replace("_", " "))]
    told: Data = {"job_id": job_id, "kind": job.kind, "status": job.status}
    return Report(table(head + rows), told | data, _exit_code(job))


def _particulars(job: Job) -> tuple[Rows, Data]:
    match job:
        case UnderWay():
            return [("Stage", stage_text(job.stage or job.status))], {"stage": job.stage}
        case CodeAsked():
            return _asked(job)
        case Succeeded():
            return _succeeded(job)
        case Failed():
            return _failed(job)


def _asked(job: CodeAsked) -> tuple[Rows, Data]:
    rows = [
        ("Code", code_was_sent(job.mfa_type, job.mfa_destination)),
        ("Attempts left", _count(job.attempts_left)),
        ("Waits", f"{span(job.expires_in)} more"),
    ]
    return rows, {
        "mfa_required": True,
        "mfa_type": job.mfa_type,
        "mfa_destination": job.mfa_destination,
        "attempts_left": job.attempts_left,
        "expires_in": job.expires_in,
    }


def _succeeded(job: Succeeded) -> tuple[Rows, Data]:
    rows = [("User", name_of(job.user)), ("Session for", span(job.expires_in))]
    return rows, {
        "session_id": job.session_id,
        "expires_in": job.expires_in,
        "user": user_data(job.user),
    }


def _failed(job: Failed) -> tuple[Rows, Data]:
    trouble = failure(job)
    rows = [("Reason", explain(trouble))]
    if job.attempts_left is not None:
        rows.append(("Attempts left", str(job.attempts_left)))
    return rows, {"error": error_data(trouble), "attempts_left": job.attempts_left}


def _secrets(job: Job) -> list[tuple[str, str, SecretStr]]:
    if isinstance(job, Succeeded):
        return [("Access token", "access_token", job.access_token)]
    if isinstance(job, CodeAsked | Failed) and job.mfa_challenge_id is not None:
        return [("Challenge id", "mfa_challenge_id", job.mfa_challenge_id)]
    return []


def _exit_code(job: Job) -> ExitCode:
    return exit_code(failure(job)) if isinstance(job, Failed) else ExitCode.DONE


def _count(attempts: int | None) -> str:
    return "unknown" if attempts is None else str(attempts)
