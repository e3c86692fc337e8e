"""Whose access token a request to Garmin's API carries."""

from dev.simulator.messages import Request, Response, json_response
from dev.simulator.state import State
from dev.simulator.tokens import AccessToken

PERSONAL_SUBDOMAIN = "personal.connectapi"
UNAUTHORIZED = "NotAuthorizedException"


def authorized(state: State, request: Request) -> AccessToken | Response:
    """Return the bearer token (or JWT_WEB cookie) of a request, or the reply to a bad one.

    The Personal API's host accepts its own tokens only, and the other host all but those.
    """
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    value = bearer if scheme.lower() == "bearer" else request.cookies.get("JWT_WEB", "")
    token = state.tokens.access.get(value)
    if token is None or token.expires_at <= state.now() or not _is_for(token, request):
        return unauthorized("Token is not valid")
    if token.kind == "di" and token.account.di_inactive:
        return unauthorized("Token is not active")
    return token


def unauthorized(message: str) -> Response:
    return json_response(401, {"message": message, "error": UNAUTHORIZED})


def _is_for(token: AccessToken, request: Request) -> bool:
    is_personal = request.subdomain == PERSONAL_SUBDOMAIN
    return (token.kind == "personal") == is_personal and token.account.domain == request.domain
