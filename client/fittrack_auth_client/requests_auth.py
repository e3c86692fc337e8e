"""Puts a Garmin token on requests of requests, and another one where Garmin refuses it.

To be imported where requests is installed: an extra brings it.
"""

from collections.abc import Callable
from typing import Any

import requests
import requests.auth

from fittrack_auth_client.garmin_auth import GetToken, IsFor, Renewals, header, is_for_api
from fittrack_auth_client.models import Token


class RequestsAuth(requests.auth.AuthBase):
    """`is_for` tells which addresses a token may go to."""

    def __init__(self, get_token: GetToken, is_for: IsFor = is_for_api) -> None:
        self._get_token = get_token
        self._is_for = is_for
        self._renewals = Renewals()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self._get_token()
        request.headers["Authorization"] = header(token, str(request.url), self._is_for)
        repeat = self._repeat(token, _position(request.body))
        request.register_hook("response", repeat)  # type: ignore[no-untyped-call]
        return request

    def _repeat(self, token: Token, position: int | None) -> Callable[..., requests.Response]:
        """Return a hook that sends a refused request once more, if its body allows that."""

        def repeat(response: requests.Response, **options: Any) -> requests.Response:  # noqa: ANN401
            request = response.request.copy()
            if not self._may_help(token, response) or not _rewind(request.body, position):
                return response
            _ = response.content  # so that the connection can be used again
            response.close()
            other = self._get_token(rejected=token.access_token)
            self._renewals.begin_probation(other)
            request.headers["Authorization"] = header(other, str(request.url), self._is_for)
            repeated: requests.Response = response.connection.send(request, **options)
            repeated.history.append(response)
            repeated.request = request
            self._may_help(other, repeated)
            return repeated

        return repeat

    def _may_help(self, token: Token, response: requests.Response) -> bool:
        is_from_garmin = self._is_for(token, str(response.request.url))
        return is_from_garmin and self._renewals.may_help(token, response.status_code)


def _position(body: object) -> int | None:
    tell = getattr(body, "tell", None)
    try:
        return None if tell is None else int(tell())
    except OSError:
        return None


def _rewind(body: object, position: int | None) -> bool:
    """Whether the body can be sent again: a generator can't."""
    if body is None or isinstance(body, str | bytes):
        return True
    if position is None:
        return False
    body.seek(position)  # type: ignore[attr-defined]
    return True
