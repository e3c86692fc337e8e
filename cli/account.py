"""What the commands do with the session: open it, look at it, close it."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from cli import job_report, reports
from cli.address import Server, parse_server
from cli.answers import Succeeded
from cli.codes import Code
from cli.patience import patiently, read_may_be_repeated
from cli.reports import Report
from cli.service import Credentials, Service, job_path
from cli.session_file import SessionFile, StoredSession
from cli.sign_in import Conversation, sign_in
from cli.trouble import Cancelled, Trouble

_ENDS_BY_ITSELF = "a sign-in already under way ends by itself, and its result expires unused"


def log_in(
    service: Service,
    conversation: Conversation,
    file: SessionFile,
    credentials: Credentials,
    *,
    show_token: bool,
) -> Report:
    try:
        succeeded = sign_in(service, conversation, credentials)
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled(detail=_ENDS_BY_ITSELF) from None
    stored = _to_store(succeeded, service.server)
    with _undisturbed():
        _keep(file, stored, service)
    return reports.signed_in(succeeded, stored, file.path, show_token=show_token)


def who_am_i(conversation: Conversation, file: SessionFile, wanted: Server | None) -> Report:
    stored = _session_at(file, wanted)
    if stored is None:
        raise Trouble(Code.NOT_SIGNED_IN)
    with Service(parse_server(stored.server)) as service:
        session = _ask(lambda: service.session(stored.access_token), conversation)
    return reports.current_session(session, stored.server)


def log_out(
    conversation: Conversation, file: SessionFile, wanted: Server | None, *, everywhere: bool
) -> Report:
    """The file goes only once the service has closed the session, or no longer knows it."""
    stored = _session_at(file, wanted)
    if stored is None and everywhere:
        raise Trouble(Code.NOT_SIGNED_IN)
    if stored is not None:
        _close(stored, conversation, file, everywhere=everywhere)
    return reports.logged_out(everywhere=everywhere, there_was_one=stored is not None)


@dataclass(frozen=True)
class JobAsked:
    """`wait` is how many seconds the service may hold its answer back."""

    id: str
    poll_token: SecretStr
    wait: int


def job_state(
    conversation: Conversation, server: Server, asked: JobAsked, *, show_token: bool
) -> Report:
    with Service(server) as service:
        reading = _ask(
            lambda: service.job(job_path(asked.id), asked.poll_token, wait=asked.wait),
            conversation,
        )
    return job_report.job_state(reading.job, asked.id, show_token=show_token)


def _close(
    stored: StoredSession, conversation: Conversation, file: SessionFile, *, everywhere: bool
) -> None:
    with Service(parse_server(stored.server)) as service:
        end = service.end_all_sessions if everywhere else service.end_session
        try:
            _ask(lambda: end(stored.access_token), conversation)
        except Trouble as trouble:
            if trouble.code != Code.UNAUTHORIZED:
                trouble.aftermath = "The session is kept, so that you can try again."
                raise
            file.delete()
            if everywhere:
                raise Trouble(Code.OTHERS_LEFT_OPEN) from None
    file.delete()


def _ask[T](ask: Callable[[], T], conversation: Conversation) -> T:
    return patiently(ask, read_may_be_repeated, conversation.waiting)


def _session_at(file: SessionFile, wanted: Server | None) -> StoredSession | None:
    """An access token goes nowhere but to the server it came from."""
    stored = file.load()
    if stored and wanted and wanted.url != stored.server:
        detail = f"signed in at {stored.server}, asked for {wanted.url}"
        raise Trouble(Code.OTHER_SERVER, detail=detail)
    return stored


def _to_store(succeeded: Succeeded, server: Server) -> StoredSession:
    now = datetime.now(UTC).replace(microsecond=0)
    return StoredSession(
        server=server.url,
        access_token=succeeded.access_token,
        session_id=succeeded.session_id,
        expires_at=now + timedelta(seconds=succeeded.expires_in),
        user=succeeded.user,
    )


def _keep(file: SessionFile, stored: StoredSession, service: Service) -> None:
    try:
        file.save(stored)
    except Trouble:
        with contextlib.suppress(Trouble):
            service.end_session(stored.access_token)  # nobody would hold its token
        raise


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
