"""The client, without asyncio."""

from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import httpx

from fittrack_auth_client.address import Server
from fittrack_auth_client.connect import ConnectSession, NewConnectSession
from fittrack_auth_client.extras import extra
from fittrack_auth_client.garmin_auth import HttpxAuth
from fittrack_auth_client.libraries import new_garminconnect, new_garth
from fittrack_auth_client.models import (
    CodeRequired,
    Connection,
    ConnectionPage,
    Job,
    Session,
    SignedIn,
    SubmittedJob,
    Token,
)
from fittrack_auth_client.operations import (
    CANCEL_SECONDS,
    MIN_VALID_FOR,
    TOKEN_SECONDS,
    OnStage,
    Operations,
    Text,
    TokensToImport,
    ignore,
)
from fittrack_auth_client.retries import OnRetry
from fittrack_auth_client.transport import SyncTransport

if TYPE_CHECKING:
    import garminconnect
    import garth
    import requests.auth


class FitTrackAuth:
    """A client of one FitTrack Auth service. May be shared between threads.

    `client_key` is the key of an app. Plain `http://` to another machine is refused unless
    `insecure_http` allows it. `timeout` is how many seconds the service has for an answer;
    `max_retries`, how often a request is sent again after a transient failure, within a minute.
    `on_retry` is called before each pause with the error and the pause's seconds. An `http_client`
    of your own is left open.

    Every method raises a FitTrackAuthError.
    """

    def __init__(
        self,
        url: str,
        *,
        client_key: Text | None = None,
        insecure_http: bool = False,
        timeout: float = 20.0,
        max_retries: int = 3,
        on_retry: OnRetry = ignore,
        http_client: httpx.Client | None = None,
    ) -> None:
        self.server = Server.parse(url)
        self.server.require_safe_for_secrets(insecure_http=insecure_http)
        self._operations = Operations(client_key, max_retries, on_retry)
        self._transport = SyncTransport(self.server, timeout, http_client)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def submit_sign_in(
        self,
        username: str,
        password: Text,
        *,
        domain: str = "garmin.com",
        user_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> SubmittedJob:
        """Submit a sign-in; return its job. `user_id` is the app's own id for the person.

        The same `idempotency_key` with the same arguments answers the same job; without one, a new
        key is made, so that retries after a lost answer start nothing twice.
        """
        return self._transport.run(
            self._operations.submit_sign_in(
                username,
                password,
                domain=domain,
                user_id=user_id,
                idempotency_key=idempotency_key,
            )
        )

    def submit_code(
        self,
        challenge: CodeRequired | Text,
        code: Text,
        *,
        idempotency_key: str | None = None,
    ) -> SubmittedJob:
        """Submit a one-time code for a challenge (or its id); return the job that checks it."""
        return self._transport.run(
            self._operations.submit_code(challenge, code, idempotency_key=idempotency_key)
        )

    def job(self, submitted: SubmittedJob, *, wait: int = 0, seen: str | None = None) -> Job:
        """Return the state of a job.

        With `wait` (0 to 30 seconds) the service answers when the state changes, at the latest
        after that time; at once, if the job has another stage than `seen`.
        """
        return self._transport.run(self._operations.job(submitted, wait=wait, seen=seen))

    def cancel(self, submitted: SubmittedJob, *, timeout: float = CANCEL_SECONDS) -> None:
        """Cancel a sign-in or a code; retry for `timeout` seconds at most.

        A job that talks to Garmin ends by itself, and its result is not used. Raises
        JobNotFoundError, and JobNotCancellableError once the job has ended.
        """
        self._transport.run(self._operations.cancel(submitted, timeout=timeout))

    def wait(
        self,
        submitted: SubmittedJob,
        *,
        timeout: float | None = None,
        on_stage: OnStage = ignore,
    ) -> CodeRequired | SignedIn:
        """Poll until the job has ended, through outages, for as long as its result is kept.

        `on_stage` is called with each stage. Raises JobFailedError, and NoResultInTimeError after
        `timeout` seconds.
        """
        return self._transport.run(
            self._operations.wait(submitted, timeout=timeout, on_stage=on_stage)
        )

    def sign_in(
        self,
        username: str,
        password: Text,
        *,
        domain: str = "garmin.com",
        user_id: str | None = None,
        on_stage: OnStage = ignore,
    ) -> CodeRequired | SignedIn:
        """Sign in to Garmin: submit, and wait. See `submit_sign_in` and `wait`."""
        return self._transport.run(
            self._operations.sign_in(
                username, password, domain=domain, user_id=user_id, on_stage=on_stage
            )
        )

    def enter_code(
        self, challenge: CodeRequired | Text, code: Text, *, on_stage: OnStage = ignore
    ) -> SignedIn:
        """Finish a sign-in with its one-time code: submit, and wait.

        Raises JobFailedError; while its `may_try_again` is true, the challenge takes another code.
        """
        return self._transport.run(self._operations.enter_code(challenge, code, on_stage=on_stage))

    def resend_code(
        self, challenge: CodeRequired | Text, *, on_stage: OnStage = ignore
    ) -> CodeRequired:
        """Have Garmin send the code again, 30 seconds after the last one at the soonest.

        Raises ResendNotPossibleError, also where the sign-in's flow can't, and JobFailedError.
        """
        return self._transport.run(self._operations.resend_code(challenge, on_stage=on_stage))

    def import_tokens(
        self,
        tokens: TokensToImport,
        *,
        domain: str | None = None,
        user_id: str | None = None,
        on_stage: OnStage = ignore,
    ) -> SignedIn:
        """Connect with what garth or garminconnect has stored, as a text or as JSON's objects.

        If the result is `exclusive`, delete them where they came from: once one program has renewed
        them, no other one can.
        Raises JobFailedError.
        """
        return self._transport.run(
            self._operations.import_tokens(
                tokens, domain=domain, user_id=user_id, on_stage=on_stage
            )
        )

    def import_personal_api_key(
        self,
        key: Text,
        *,
        domain: str | None = None,
        user_id: str | None = None,
        on_stage: OnStage = ignore,
    ) -> SignedIn:
        """Connect with a Personal API key, which reads alone. Raises JobFailedError."""
        return self._transport.run(
            self._operations.import_personal_api_key(
                key, domain=domain, user_id=user_id, on_stage=on_stage
            )
        )

    def session(self, access_token: Text) -> Session:
        """Return the session of an access token. Raises UnauthorizedError once it is over."""
        return self._transport.run(self._operations.session(access_token))

    def session_token(
        self,
        access_token: Text,
        *,
        min_valid_for: int = MIN_VALID_FOR,
        rejected: Text | None = None,
        timeout: float = TOKEN_SECONDS,
    ) -> Token:
        """Return Garmin's access token of a session's person. See `token`."""
        return self._transport.run(
            self._operations.session_token(
                access_token, min_valid_for=min_valid_for, rejected=rejected, timeout=timeout
            )
        )

    def log_out(self, access_token: Text) -> None:
        """End the session."""
        self._transport.run(self._operations.delete("/api/session", access_token))

    def log_out_everywhere(self, access_token: Text) -> None:
        """End every session of the person."""
        self._transport.run(self._operations.delete("/api/sessions", access_token))

    def unlink(self, access_token: Text) -> None:
        """Delete the person's Garmin tokens, every app's link to them, and every session."""
        self._transport.run(self._operations.delete("/api/garmin/tokens", access_token))

    def connections(
        self, *, state: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> ConnectionPage:
        """Return a page of this app's connections. Needs `client_key`.

        `state` is `active`, `expiring` or `sign_in_required`, `cursor` the `next_cursor` of the
        page before.
        """
        return self._transport.run(
            self._operations.connections(state=state, limit=limit, cursor=cursor)
        )

    def connection(self, user_id: str) -> Connection:
        """Return the Garmin account that this app has linked to `user_id`. Needs `client_key`.

        Raises LinkNotFoundError.
        """
        return self._transport.run(self._operations.connection(user_id))

    def create_connect_session(
        self,
        user_id: str,
        *,
        return_url: str | None = None,
        embed_origin: str | None = None,
        domain: str | None = None,
        locale: str | None = None,
        methods: Sequence[str] | None = None,
    ) -> NewConnectSession:
        """Return a page's address to send the person to, who connects there. Needs `client_key`.

        `return_url` is where the person goes afterwards, `embed_origin` the origin of a page that
        shows this one in a frame or popup: both of origins that are registered with the app.
        `methods` are `password`, `personal_api_key` and `import`, in the order to offer them.
        """
        options = {
            "return_url": return_url,
            "embed_origin": embed_origin,
            "domain": domain,
            "locale": locale,
        }
        return self._transport.run(
            self._operations.create_connect_session(user_id, options, methods)
        )

    def connect_session(self, session_id: str) -> ConnectSession:
        """Return how far a connect session has come. Needs `client_key`.

        Raises ConnectSessionNotFoundError.
        """
        return self._transport.run(self._operations.connect_session(session_id))

    def token(
        self,
        user_id: str,
        *,
        min_valid_for: int = MIN_VALID_FOR,
        rejected: Text | None = None,
        timeout: float = TOKEN_SECONDS,
    ) -> Token:
        """Return Garmin's access token of a connection, refreshed if need be. Needs `client_key`.

        It is kept for a few minutes, and asked for once however many want it. `min_valid_for` is
        for how many seconds it has to be valid (0 to 3600), `rejected` an access token that Garmin
        answered with 401. Raises LinkNotFoundError, SignInRequiredError, ServiceUnavailableError,
        and NoResultInTimeError after `timeout` seconds.
        """
        return self._transport.run(
            self._operations.token(
                user_id, min_valid_for=min_valid_for, rejected=rejected, timeout=timeout
            )
        )

    def httpx_auth(self, user_id: str) -> httpx.Auth:
        """Return what puts a fresh token on each request to Garmin's API.

        Where Garmin answers 401, the request is sent once more, with another token. A request to
        another address than the token's `api_base` raises UsageError.
        """
        return HttpxAuth(partial(self.token, user_id))

    def requests_auth(self, user_id: str) -> "requests.auth.AuthBase":
        """Return the same for `auth=` of requests. Needs the extra `requests`."""
        with extra("requests"):
            from fittrack_auth_client.requests_auth import RequestsAuth
        return RequestsAuth(partial(self.token, user_id))

    def garminconnect(self, user_id: str) -> "garminconnect.Garmin":
        """Return a `garminconnect.Garmin`, signed in, that renews through the service.

        Needs the extra `garminconnect`, and a connection that reads and writes. Raises UsageError
        without them, and garminconnect's errors if the profile can't be read.
        """
        return new_garminconnect(partial(self.token, user_id))

    def garth(self, user_id: str) -> "garth.Client":
        """Return a `garth.Client`, likewise. Needs the extra `garth`."""
        return new_garth(partial(self.token, user_id))

    def disconnect(self, user_id: str) -> None:
        """End the link of `user_id` and the sessions that this app opened. Needs `client_key`.

        With the last link to a Garmin account its tokens are deleted. Raises LinkNotFoundError.
        """
        self._transport.run(self._operations.disconnect(user_id))
