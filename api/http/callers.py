"""Who sent a request: their address, their app, and the id of the request."""

import ipaddress

from starlette.requests import Request

from api.services import services
from shared.accounts.clients import Scope
from shared.origin import Origin


async def submitter(request: Request) -> Origin:
    """The origin of a submission: requires an app's key only if the operator does.

    A key that is sent has to be valid. Raises what `app` raises.
    """
    if "x-client-key" in request.headers or services(request).require_client_key:
        return await app(request, Scope.SIGN_IN)
    return person(request)


async def app(request: Request, scope: Scope) -> Origin:
    """The origin of a request that requires an app's key with this scope.

    Raises UnknownClientError, ScopeMissingError, RateLimitedError, ServiceUnavailableError.
    """
    origin = person(request)
    client_id = await services(request).client_keys.client_id(
        request.headers.get("x-client-key", ""), origin.address or "", scope
    )
    return origin.model_copy(update={"client_id": client_id})


def person(request: Request) -> Origin:
    """The origin of a request that requires no app's key."""
    request_id: str | None = getattr(request.state, "request_id", None)
    return Origin(address=address(request), request_id=request_id)


def address(request: Request) -> str:
    """Return the client's address; proxies that uvicorn is configured to trust name it."""
    host = request.client.host if request.client else ""
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or ipaddress.IPv6Address(int(parsed))  # without its zone
    return str(parsed)
