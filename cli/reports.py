"""What a command has to say in the end: lines for a person, data for a program."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import JsonValue, SecretStr

from cli.answers import Session, Succeeded, User
from cli.messages import ExitCode, explain
from cli.printable import printable
from cli.session_file import StoredSession
from cli.trouble import Trouble


@dataclass(frozen=True)
class Report:
    lines: tuple[str, ...]
    data: dict[str, JsonValue]
    exit_code: ExitCode = ExitCode.DONE


def signed_in(
    succeeded: Succeeded, stored: StoredSession, path: Path, *, show_token: bool
) -> Report:
    data: dict[str, JsonValue] = {
        "session_id": stored.session_id,
        "user": user_data(stored.user),
        "expires_in": succeeded.expires_in,
        "expires_at": _utc(stored.expires_at),
        "server": stored.server,
        "session_file": str(path),
    }
    if show_token:
        data["access_token"] = stored.access_token.get_secret_value()
    lines = (
        f"Signed in as {name_of(stored.user)}.",
        f"The session lasts until {_local(stored.expires_at)} and is kept in {path}",
    )
    return Report(lines + token_line(stored.access_token, show_token), data)


def current_session(session: Session, server: str) -> Report:
    garmin = session.garmin
    data: dict[str, JsonValue] = {
        "server": server,
        "session_id": session.session_id,
        "user": user_data(session.user),
        "created_at": _utc(session.created_at),
        "expires_at": _utc(session.expires_at),
        "garmin": {
            "linked": garmin.linked,
            "domain": garmin.domain,
            "driver": garmin.driver,
            "access_token_expires_at": _utc(garmin.access_token_expires_at),
            "refreshable_until": _utc(garmin.refreshable_until),
        },
    }
    rows = [
        ("User", f"{name_of(session.user)} ({printable(session.user.id)})"),
        ("Server", server),
        ("Session until", _local(session.expires_at)),
        ("Garmin", _linked(garmin.linked, garmin.domain)),
    ]
    if garmin.linked:
        rows += [
            ("Linked through", printable(garmin.driver or "unknown")),
            ("Garmin token until", _local(garmin.access_token_expires_at)),
            ("Refreshable until", _local(garmin.refreshable_until)),
        ]
    return Report(table(rows), data)


def logged_out(*, everywhere: bool, there_was_one: bool) -> Report:
    where = "everywhere" if everywhere else "here"
    said = f"Logged out {where}." if there_was_one else "There was no session: nothing to do."
    return Report((said,), {"logged_out": True, "everywhere": everywhere})


def error_data(trouble: Trouble) -> dict[str, JsonValue]:
    return {
        "code": trouble.code,
        "message": explain(trouble),
        "retry_after": trouble.retry_after,
    }


def table(rows: list[tuple[str, str]]) -> tuple[str, ...]:
    width = max(len(label) for label, _ in rows)
    return tuple(f"{label:<{width}}  {value}" for label, value in rows)


def token_line(token: SecretStr, show_token: bool) -> tuple[str, ...]:
    return (f"Access token: {printable(token.get_secret_value(), 4096)}",) if show_token else ()


def user_data(user: User) -> dict[str, JsonValue]:
    return {"id": user.id, "display_name": user.display_name}


def name_of(user: User) -> str:
    return printable(user.display_name or user.id)


def _linked(linked: bool, domain: str | None) -> str:
    if not linked:
        return "not linked: log in again with fittrack-auth login"
    return f"linked ({printable(domain)})" if domain else "linked"


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _local(moment: datetime | None) -> str:
    return "unknown" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M %Z}".rstrip()
