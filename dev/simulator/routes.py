"""Route requests to handlers, and apply refusals and faults."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from dev.simulator import (
    activities,
    di,
    mobile,
    oauth1,
    personal,
    preferences,
    profile,
    steps,
    widget,
)
from dev.simulator.bearer import PERSONAL_SUBDOMAIN
from dev.simulator.cookies import visitor_cookie
from dev.simulator.messages import (
    Delivery,
    Request,
    Response,
    html_response,
    json_response,
    text_response,
    undelivered,
)
from dev.simulator.replies import CLOUDFLARE_PAGE, garbage, refused, unavailable
from dev.simulator.settings import Fault, FaultKind, Stage
from dev.simulator.state import State

SUBDOMAINS = ("sso", "connectapi", "connect", "diauth", "mobile.integration")
CONSUMER_HOST = "thegarth.s3.amazonaws.com"
PERSONAL_HOST = f"{PERSONAL_SUBDOMAIN}.garmin.com"
HOSTS = frozenset(
    f"{subdomain}.{domain}" for subdomain in SUBDOMAINS for domain in ("garmin.com", "garmin.cn")
) | {CONSUMER_HOST, PERSONAL_HOST}

Handler = Callable[[State, Request], Response]


@dataclass(frozen=True)
class Route:
    """An endpoint. `path` is a shell pattern; settings refer to `flow` and `stage`."""

    method: str
    subdomain: str
    path: str
    handler: Handler
    flow: str
    stage: Stage


def _data(subdomain: str, flow: str) -> tuple[Route, ...]:
    return (
        Route("GET", subdomain, SETTINGS, preferences.profile_settings, flow, Stage.DATA),
        Route("GET", subdomain, ACTIVITIES, activities.search, flow, Stage.DATA),
        Route("GET", subdomain, FIT_FILE, activities.download, flow, Stage.DATA),
        Route("GET", subdomain, STEPS, steps.daily_steps, flow, Stage.DATA),
    )


def _json_flow(flow: str) -> tuple[Route, ...]:
    verify = f"/{flow}/api/mfa/verifyCode"
    return (
        Route("GET", "sso", f"/{flow}/sso/*/sign-in", mobile.sign_in_page, flow, Stage.PAGE),
        Route("POST", "sso", f"/{flow}/api/login", mobile.login, flow, Stage.LOGIN),
        Route("POST", "sso", verify, mobile.verify_code, flow, Stage.CODE),
    )


WIDGET_CODE = "/sso/verifyMFA/loginEnterMfaCode"
PREAUTHORIZED = "/oauth-service/oauth/preauthorized"
EXCHANGE = "/oauth-service/oauth/exchange/user/2.0"
DI_TOKEN = "/di-oauth2-service/oauth/token"
KEY_TOKEN = "/personalapitoken-service/personal-api/personal-api-key/token"
PROFILE = "/userprofile-service/socialProfile"
SETTINGS = "/userprofile-service/userprofile/settings"
USER_SETTINGS = "/userprofile-service/userprofile/user-settings"
ACTIVITIES = "/activitylist-service/activities/search/activities"
FIT_FILE = "/download-service/files/activity/*"
STEPS = "/usersummary-service/stats/steps/daily/*/*"
ROUTES = (
    *_json_flow("mobile"),
    *_json_flow("portal"),
    Route("GET", "sso", "/portal/sso/embed", mobile.embed_page, "portal", Stage.OTHER),
    Route("GET", "sso", "/sso/embed", widget.embed_page, "widget", Stage.PAGE),
    Route("GET", "sso", "/sso/signin", widget.sign_in_page, "widget", Stage.PAGE),
    Route("POST", "sso", "/sso/signin", widget.sign_in, "widget", Stage.LOGIN),
    Route("GET", "sso", WIDGET_CODE, widget.code_page, "widget", Stage.OTHER),
    Route("POST", "sso", WIDGET_CODE, widget.enter_code, "widget", Stage.CODE),
    Route("GET", "sso", "/sso/login", widget.login_token, "widget", Stage.OTHER),
    Route("POST", "sso", "/sso/verifyMFA/mfaCode", widget.request_code, "widget", Stage.CODE),
    Route("GET", "connectapi", PREAUTHORIZED, oauth1.preauthorized, "oauth1", Stage.TICKET),
    Route("POST", "connectapi", EXCHANGE, oauth1.exchange, "oauth2", Stage.EXCHANGE),
    Route("POST", "diauth", DI_TOKEN, di.token, "di", Stage.TICKET),
    Route("GET", "connectapi", PROFILE, profile.social_profile, "profile", Stage.PROFILE),
    Route("GET", "connectapi", USER_SETTINGS, preferences.user_settings, "data", Stage.DATA),
    *_data("connectapi", "data"),
    Route("POST", PERSONAL_SUBDOMAIN, KEY_TOKEN, personal.exchange, "personal", Stage.EXCHANGE),
    *_data(PERSONAL_SUBDOMAIN, "personal"),
    Route("GET", "connect", "/app", profile.service_page, "portal", Stage.OTHER),
    Route("GET", "mobile.integration", "/gcm/*", profile.service_page, "mobile", Stage.OTHER),
)


def respond(state: State, request: Request) -> Response:
    """Respond as Garmin does, or as a refusal or fault in the settings says."""
    response = _with_server_headers(request, _respond(state, request))
    state.issued.record_cookies(response.headers)
    return response


def latency(state: State, request: Request) -> float:
    """Seconds to wait before the response is sent."""
    for pattern, milliseconds in state.settings.latency_by_path.items():
        if fnmatchcase(request.path, pattern):
            return milliseconds / 1000
    return state.settings.latency_ms / 1000


def _respond(state: State, request: Request) -> Response:
    state.count("requests")
    fault = state.faults.next_for(request)
    if fault is None:
        return _dispatch(state, request)
    state.count("faults")
    if fault.when == "before" and fault.kind in _REPLACEMENTS:
        return _REPLACEMENTS[fault.kind](fault)
    return _apply(fault, _dispatch(state, request))


def _dispatch(state: State, request: Request) -> Response:
    if request.host == CONSUMER_HOST:
        is_consumer = request.path == "/oauth_consumer.json"
        return oauth1.consumer(state, request) if is_consumer else text_response(403, "Forbidden")
    route = _route(request)
    if route is None:
        return html_response(404, "<html><head><title>Not Found</title></head></html>")
    stage = _stage(route, request)
    refusal = state.refusals.next_for(_refusal_keys(route, request), stage)
    if refusal is not None:
        _count_refused(state, route, request, stage)
        return refused(refusal)
    return route.handler(state, request)


def _route(request: Request) -> Route | None:
    for route in ROUTES:
        if (
            request.method == route.method
            and request.subdomain == route.subdomain
            and fnmatchcase(request.path, route.path)
        ):
            return route
    return None


def _stage(route: Route, request: Request) -> Stage:
    match route.flow:
        case "di" if di.is_refresh(request):
            return Stage.REFRESH
        case "oauth2" if oauth1.is_refresh(request):
            return Stage.REFRESH
        case _:
            return route.stage


def _refusal_keys(route: Route, request: Request) -> list[str]:
    keys = [route.flow, request.query.get("clientId", "")]
    return [*keys, request.form.get("client_id", "")] if route.flow == "di" else keys


def _count_refused(state: State, route: Route, request: Request, stage: Stage) -> None:
    client = widget.CLIENT if route.flow == "widget" else request.query.get("clientId")
    account = None
    if stage is Stage.LOGIN:
        body = request.form if route.flow == "widget" else request.json
        account = state.account(str(body.get("username", "")), request.domain)
        state.count("credential_posts", account, client)
    state.count("refused", account, client)


def _apply(fault: Fault, response: Response) -> Response:
    """Spoil a good response."""
    response = replace(response, on_delivered=None)
    if fault.kind is FaultKind.WITHOUT_FIELD:
        return _without_field(response, fault.field)
    if fault.kind in _REPLACEMENTS:
        return _REPLACEMENTS[fault.kind](fault)
    return replace(response, delivery=Delivery(fault.kind))


def _without_field(response: Response, name: str) -> Response:
    """Remove one field from a JSON object or form text."""
    if ("Content-Type", "application/json") in response.headers:
        value = json.loads(response.body)
        value.pop(name, None)
        return replace(response, body=json.dumps(value).encode())
    pairs = response.body.decode().split("&")
    kept = [pair for pair in pairs if pair.partition("=")[0] != name]
    return replace(response, body="&".join(kept).encode())


def _with_server_headers(request: Request, response: Response) -> Response:
    """Add the headers of Cloudflare or S3."""
    if request.host == CONSUMER_HOST:
        return replace(response, headers=(*response.headers, ("Server", "AmazonS3")))
    headers = [*response.headers, ("Server", "cloudflare"), ("CF-RAY", "0000000000000000-SIM")]
    if request.subdomain == "connectapi":
        headers.append(("Set-Cookie", visitor_cookie(request.domain)))
    return replace(response, headers=tuple(headers))


# What is sent instead of Garmin's own response.
_REPLACEMENTS: dict[FaultKind, Callable[[Fault], Response]] = {
    FaultKind.HANG: lambda fault: undelivered(Delivery.HANG),
    FaultKind.CUT: lambda fault: undelivered(Delivery.CUT),
    FaultKind.STATUS: lambda fault: unavailable(fault.status, fault.retry_after),
    FaultKind.HTML: lambda fault: html_response(200, CLOUDFLARE_PAGE),
    FaultKind.GARBAGE: lambda fault: garbage(),
    FaultKind.JSON: lambda fault: json_response(fault.status, fault.body),
}
