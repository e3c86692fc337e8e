"""What the commands do with a session: open it, show it, close it."""

import contextlib
import signal
from collections.abc import Callable, Iterator

from fittrack_auth_client.address import Server
from fittrack_auth_client.cli import reports
from fittrack_auth_client.cli.errors import CancelledError, CliError
from fittrack_auth_client.cli.reports import Report
from fittrack_auth_client.cli.session_file import SessionFile, StoredSession
from fittrack_auth_client.cli.sign_in import Conversation, Credentials, sign_in
from fittrack_auth_client.client import FitTrackAuth
from fittrack_auth_client.errors import FitTrackAuthError, UnauthorizedError
from fittrack_auth_client.models import SignedIn, Token
from fittrack_auth_client.retries import OnRetry

_ENDS_BY_ITSELF = "a sign-in already under way ends by itself, and its result expires unused"


def log_in(
    auth: FitTrackAuth,
    conversation: Conversation,
    file: SessionFile,
    credentials: Credentials,
    *,
    show_token: bool,
) -> Report:
    try:
        signed_in = sign_in(auth, conversation, credentials)
    except (KeyboardInterrupt, CancelledError):
        raise CancelledError(_ENDS_BY_ITSELF) from None
    return _kept(auth, file, signed_in, show_token=show_token)


def import_(
    auth: FitTrackAuth,
    conversation: Conversation,
    file: SessionFile,
    submit: Callable[..., SignedIn],
    place: str,
    *,
    show_token: bool,
) -> Report:
    """`submit` imports, and takes `on_stage`."""
    conversation.stage("submitting")
    try:
        signed_in = submit(on_stage=conversation.stage)
    except UnauthorizedError:  # there is no session yet that could be over
        raise CliError("client_key_needed") from None
    except KeyboardInterrupt:
        raise CancelledError(_ENDS_BY_ITSELF) from None
    report = _kept(auth, file, signed_in, show_token=show_token)
    return reports.imported(report, signed_in, place)


def _kept(
    auth: FitTrackAuth, file: SessionFile, signed_in: SignedIn, *, show_token: bool
) -> Report:
    session = StoredSession(
        server=auth.server.url,
        access_token=signed_in.access_token,
        session_id=signed_in.session_id,
        expires_at=signed_in.expires_at,
        user=signed_in.user,
    )
    with _interrupts_ignored():
        _save(file, session, auth)
    return reports.signed_in(signed_in, session, file.path, show_token=show_token)


def who_am_i(file: SessionFile, server: Server | None, on_retry: OnRetry) -> Report:
    stored = _stored_session(file, server)
    if stored is None:
        raise CliError("not_signed_in")
    with _client(stored, on_retry) as auth:
        session = auth.session(stored.access_token)
    return reports.current_session(session, stored.server)


def token(file: SessionFile, server: Server | None, on_retry: OnRetry, seconds: int) -> Token:
    """Return a Garmin token that is valid for so many seconds at least."""
    stored = _stored_session(file, server)
    if stored is None:
        raise CliError("not_signed_in")
    with _client(stored, on_retry) as auth:
        return auth.session_token(stored.access_token, min_valid_for=seconds)


def member_token(auth: FitTrackAuth, user_id: str, seconds: int) -> Token:
    """Return a Garmin token of an app's user that is valid for so many seconds at least."""
    try:
        return auth.token(user_id, min_valid_for=seconds)
    except UnauthorizedError:  # the app's key is wrong: there is no session that could be over
        raise CliError("client_key_needed") from None


def log_out(
    file: SessionFile, server: Server | None, on_retry: OnRetry, *, everywhere: bool
) -> Report:
    """Delete the session file once the service has ended the session, or no longer knows it."""
    stored = _stored_session(file, server)
    if stored is None:
        if everywhere:
            raise CliError("not_signed_in")
        return reports.logged_out(everywhere=False, had_session=False)
    try:
        with _client(stored, on_retry) as auth:
            end = auth.log_out_everywhere if everywhere else auth.log_out
            end(stored.access_token)
    except UnauthorizedError:
        file.delete()
        if everywhere:
            raise CliError("others_left_open") from None
    except FitTrackAuthError as error:
        error.add_note("The session is kept, so that you can try again.")
        raise
    else:
        file.delete()
    return reports.logged_out(everywhere=everywhere, had_session=True)


def _client(stored: StoredSession, on_retry: OnRetry) -> FitTrackAuth:
    """Plain http:// was allowed at the sign-in, if that is what was stored."""
    return FitTrackAuth(stored.server, insecure_http=True, on_retry=on_retry)


def _stored_session(file: SessionFile, server: Server | None) -> StoredSession | None:
    """An access token goes nowhere but to the server it came from."""
    stored = file.load()
    if stored and server and server.url != stored.server:
        message = f"signed in at {stored.server}, asked for {server.url}"
        raise CliError("other_server", message)
    return stored


def _save(file: SessionFile, session: StoredSession, auth: FitTrackAuth) -> None:
    try:
        file.save(session)
    except CliError:
        with contextlib.suppress(FitTrackAuthError):
            auth.log_out(session.access_token)  # nobody would hold its token
        raise


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
