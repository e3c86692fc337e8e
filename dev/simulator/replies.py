"""Responses shared by several flows: rate limits, Cloudflare's pages, failed deliveries."""

from collections.abc import Mapping

from dev.simulator.messages import (
    Delivery,
    Response,
    html_response,
    json_response,
    text_response,
    undelivered,
)
from dev.simulator.settings import Refusal
from dev.simulator.words import Outcome

CLOUDFLARE_PAGE = """<!DOCTYPE html>
<html lang="en-US"><head><title>Just a moment...</title>
</head>
<body>This page asks whether you are a browser.</body></html>
"""
ATTENTION_PAGE = """<!DOCTYPE html>
<html lang="en-US"><head><title>Attention Required! | Cloudflare</title></head>
<body><h1>Sorry, you have been blocked</h1></body></html>
"""
DENIED_PAGE = """<!DOCTYPE html>
<html lang="en-US"><head><title>Access denied | sso.garmin.com used Cloudflare</title></head>
<body><h1>Error 1020</h1><h2>Access denied</h2></body></html>
"""
UNAVAILABLE_PAGE = """<html>
<head><title>503 Service Temporarily Unavailable</title></head>
<body><center><h1>503 Service Temporarily Unavailable</h1></center></body>
</html>
"""
UNAUTHORIZED_PAGE = """<html>
<head><title>401 Authorization Required</title></head>
<body><center><h1>401 Authorization Required</h1></center></body>
</html>
"""
GARBAGE = b'{"responseStatus": {"type": "SUCC\xff\xfe\x00'
LIMITED_RETRY_AFTER_S = 120
_ERROR_MESSAGES = {427: "Unsupported client", 429: "Too Many Requests"}


def cloudflare_page(retry_after: int | None = None) -> Response:
    return html_response(
        403, CLOUDFLARE_PAGE, ("cf-mitigated", "challenge"), *_retry_after(retry_after)
    )


def error_in_json(status: int, http_status: int, retry_after: int | None = None) -> Response:
    """Garmin's gateway error, sometimes sent with HTTP 200."""
    message = _ERROR_MESSAGES.get(status, "Error")
    error = {"error": {"status-code": str(status), "message": message}}
    return json_response(http_status, error, *_retry_after(retry_after))


def rate_limited(retry_after: int | None = None) -> Response:
    return error_in_json(429, 429, retry_after)


def unavailable(status: int = 503, retry_after: int | None = None) -> Response:
    page = UNAVAILABLE_PAGE.replace("503", str(status))
    return html_response(status, page, *_retry_after(retry_after))


CAPTCHA_IN_XML = Response(
    400,
    b'<?xml version="1.0" encoding="UTF-8"?><error><type>InvalidReCaptchaException</type></error>',
    (("Content-Type", "application/xml"),),
)


def garbage() -> Response:
    return Response(200, GARBAGE, (("Content-Type", "application/json"),))


def refused(refusal: Refusal) -> Response:
    """The response to a client or flow that the settings refuse."""
    status, retry_after = refusal.status, refusal.retry_after
    if refusal.in_body:
        return error_in_json(status, 200, retry_after)
    if status == 403:
        return cloudflare_page(retry_after)
    if status >= 500:
        return unavailable(status, retry_after)
    return error_in_json(status, status, retry_after)


def _retry_after(seconds: int | None) -> tuple[tuple[str, str], ...]:
    return () if seconds is None else (("Retry-After", str(seconds)),)


# Outcomes that say nothing about the person, and look the same in every flow.
INFRASTRUCTURE: Mapping[Outcome, Response] = {
    Outcome.LIMITED: rate_limited(),
    Outcome.LIMITED_AFTER: rate_limited(LIMITED_RETRY_AFTER_S),
    Outcome.CLOUDFLARE: cloudflare_page(),
    Outcome.CLOUDFLARE_ATTENTION: html_response(403, ATTENTION_PAGE),
    Outcome.CLOUDFLARE_DENIED: html_response(403, DENIED_PAGE),
    Outcome.CLOUDFLARE_1015: text_response(429, "error code: 1015"),
    Outcome.CLOUDFLARE_1020: text_response(403, "error code: 1020"),
    Outcome.DOWN: unavailable(),
    Outcome.GARBAGE: garbage(),
    Outcome.HANG: undelivered(Delivery.HANG),
    Outcome.CUT_BEFORE: undelivered(Delivery.CUT),
}
