"""The replies that more than one flow gives: refusals, Cloudflare's pages, failing deliveries."""

from collections.abc import Mapping

from dev.simulator.accounts import Outcome
from dev.simulator.messages import (
    Delivery,
    Response,
    html_response,
    json_response,
    undelivered,
)
from dev.simulator.settings import Refusal

CLOUDFLARE_PAGE = """<!DOCTYPE html>
<html lang="en-US"><head><title>Just a moment...</title>
</head>
<body>This page asks whether you are a browser.</body></html>
"""
UNAVAILABLE_PAGE = """<html>
<head><title>503 Service Temporarily Unavailable</title></head>
<body><center><h1>503 Service Temporarily Unavailable</h1></center></body>
</html>
"""
GARBAGE = b'{"responseStatus": {"type": "SUCC\xff\xfe\x00'
LIMITED_RETRY_AFTER_S = 120


def cloudflare_page() -> Response:
    return html_response(403, CLOUDFLARE_PAGE, ("cf-mitigated", "challenge"))


def error_in_json(status: int, http_status: int, *headers: tuple[str, str]) -> Response:
    """Garmin's gateway error, which may come with HTTP 200 around it."""
    error = {"error": {"status-code": str(status), "message": _MESSAGES.get(status, "Error")}}
    return json_response(http_status, error, *headers)


def limited(retry_after: int | None = None) -> Response:
    headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
    return error_in_json(429, 429, *headers)


def unavailable(status: int = 503, retry_after: int | None = None) -> Response:
    headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
    return html_response(status, UNAVAILABLE_PAGE.replace("503", str(status)), *headers)


def garbage() -> Response:
    return Response(200, GARBAGE, (("Content-Type", "application/json"),))


def refused(refusal: Refusal) -> Response:
    """The reply to a client that is turned away."""
    retry_after = refusal.retry_after
    headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
    if refusal.in_body:
        return error_in_json(refusal.status, 200, *headers)
    if refusal.status == 403:
        return html_response(403, CLOUDFLARE_PAGE, ("cf-mitigated", "challenge"), *headers)
    if refusal.status >= 500:
        return unavailable(refusal.status, retry_after)
    return error_in_json(refusal.status, refusal.status, *headers)


def infrastructure_reply(outcome: Outcome) -> Response | None:
    """The reply of outcomes that say nothing about the person, the same in every flow."""
    match outcome:
        case Outcome.LIMITED_AFTER:
            return limited(LIMITED_RETRY_AFTER_S)
        case Outcome.CUT_BEFORE | Outcome.CUT_AFTER:
            return undelivered(Delivery.CUT)
        case Outcome.HANG:
            return undelivered(Delivery.HANG)
        case _:
            make = _PLAIN.get(outcome)
            return make() if make else None


_PLAIN = {
    Outcome.LIMITED: limited,
    Outcome.CLOUDFLARE: cloudflare_page,
    Outcome.DOWN: unavailable,
    Outcome.GARBAGE: garbage,
}
_MESSAGES: Mapping[int, str] = {
    427: "Unsupported client",
    429: "Too Many Requests",
}
