"""The HTML flow of the embedded widget (garminconnect's third strategy)."""

import secrets
from urllib.parse import quote, urlencode

from dev.simulator import pages
from dev.simulator.accounts import PASSWORD, Account, Outcome
from dev.simulator.cookies import cloudflare_cookies, page_cookies, signed_in_cookies
from dev.simulator.messages import (
    Delivery,
    Request,
    Response,
    html_response,
    json_response,
    redirect,
    undelivered,
)
from dev.simulator.mobile import code_rejection
from dev.simulator.replies import error_in_json, infrastructure_reply, limited
from dev.simulator.sessions import SsoSession
from dev.simulator.world import World

CLIENT = "widget"
LOCALE_COOKIE = "org.springframework.web.servlet.i18n.CookieLocaleResolver.LOCALE=en; Path=/"


def embed_page(world: World, request: Request) -> Response:
    """`GET /sso/embed`: the first cookies, without a SESSION."""
    world.count("sign_in_pages", client=CLIENT)
    cookies = [LOCALE_COOKIE, *cloudflare_cookies(request.domain)]
    return html_response(200, pages.EMBED, cookies=cookies)


def sign_in_page(world: World, request: Request) -> Response:
    """`GET /sso/signin`: the form with its `_csrf`, and the SESSION it belongs to."""
    session = _session(world, request) or world.open_session(request.domain, CLIENT)
    world.count("sign_in_pages", client=CLIENT)
    page = pages.sign_in(_service(request), session.csrf)
    return html_response(200, page, cookies=[LOCALE_COOKIE, *page_cookies(session)])


def sign_in(world: World, request: Request) -> Response:
    """`POST /sso/signin`: the credentials, with the session's `_csrf`."""
    account = world.account(request.form.get("username", ""), request.domain)
    if account.login is Outcome.CUT_BEFORE:
        return undelivered(Delivery.CUT)
    world.count("credential_posts", account, CLIENT)
    session = _session(world, request)
    if session is None:
        return limited()
    if not _has_csrf(session, request):
        return html_response(403, pages.notice("Forbidden", "Invalid CSRF token."))
    if (reply := _reply_before_verdict(account)) is not None:
        return reply
    world.count("credentials_checked", account, CLIENT)
    if account.login is Outcome.WRONG or request.form.get("password") != PASSWORD:
        return _again(session, request, "Email or password is wrong.")
    return _accept_credentials(world, request, session, account)


def code_page(world: World, request: Request) -> Response:
    """`GET /sso/verifyMFA/loginEnterMfaCode`: the form for the code."""
    session = _session(world, request)
    if session is None or session.challenge is None:
        return _expired()
    return _code_form(world, session, session.challenge.account)


def enter_code(world: World, request: Request) -> Response:
    """`POST /sso/verifyMFA/loginEnterMfaCode`: the code; a wrong one gets the form again."""
    session = _session(world, request)
    if session is None or session.challenge is None:
        return _expired()
    account = session.challenge.account
    if account.code is Outcome.CUT_BEFORE:
        return undelivered(Delivery.CUT)
    world.count("codes_checked", account, CLIENT)
    if not _has_csrf(session, request):
        return html_response(403, pages.notice("Forbidden", "Invalid CSRF token."))
    if account.code is Outcome.LIMITED_IN_BODY:
        return limited()
    if account.code is not Outcome.CUT_AFTER and (reply := infrastructure_reply(account.code)):
        return reply
    rejection = code_rejection(world, session, request.form.get("mfa-code", "").strip())
    if rejection is not None:
        return _rejected(world, session, account, rejection)
    session.login_token = secrets.token_urlsafe(8)[:10]
    world.issued.note("login_token", session.login_token)
    if account.code is Outcome.CUT_AFTER:
        return undelivered(Delivery.CUT)
    query = {"logintoken": session.login_token, "service": session.service, "locale": "en"}
    query |= {"embed": "true", "source": session.service, "embedWidget": "true"}
    url = f"https://{request.host}/sso/login?{urlencode(query, quote_via=quote, safe='')}"
    return redirect(url, cookies=[LOCALE_COOKIE])


def login_token(world: World, request: Request) -> Response:
    """`GET /sso/login?logintoken=…`: after a right code, the page with the ticket."""
    session = _session(world, request)
    token = request.query.get("logintoken")
    if session is None or session.account is None or not token or token != session.login_token:
        return _expired()
    session.login_token = ""
    return _success(world, session, session.account, token)


def request_code(world: World, request: Request) -> Response:
    """`POST /sso/verifyMFA/mfaCode`: send the code (again), at most every 30 s."""
    session = _session(world, request)
    if session is None or session.challenge is None:
        return json_response(401, {"error": "sessionExpired"})
    challenge, account = session.challenge, session.challenge.account
    if request.json.get("customerGuid") != account.garmin_guid or account.destination is None:
        return json_response(400, {"error": "invalidRequest"})
    sent_at = challenge.sent_at
    if sent_at is not None and world.now() - sent_at < world.settings.resend_interval_s:
        return error_in_json(429, 429)
    world.send_code(challenge, CLIENT)
    return json_response(200, {"codeSentTo": account.destination})


def _reply_before_verdict(account: Account) -> Response | None:
    match account.login:
        case Outcome.CUT_AFTER | Outcome.REFUSED_427_IN_BODY:
            # What the JSON flows refuse with 427 is what the widget still lets in.
            return None
        case Outcome.REFUSED_427:
            return error_in_json(427, 427)
        case Outcome.LIMITED_IN_BODY:
            return limited()
        case outcome:
            return infrastructure_reply(outcome)


def _accept_credentials(
    world: World, request: Request, session: SsoSession, account: Account
) -> Response:
    if account.login is Outcome.LOCKED:
        return html_response(200, pages.notice("Account Locked", "Your account is locked."))
    if account.login is Outcome.CAPTCHA:
        return _again(session, request, "Please complete the captcha.")
    session.account, session.client = account, CLIENT
    session.service = _service(request)
    if account.method is None:
        reply = _success(world, session, account)
    else:
        challenge = world.challenge(session, account)
        if account.destination is not None and world.settings.widget_sends_code:
            world.send_code(challenge, CLIENT)
        query = request.target.partition("?")[2]
        url = f"https://{request.host}/sso/verifyMFA/loginEnterMfaCode?{query}"
        reply = redirect(url, cookies=[LOCALE_COOKIE])
    return undelivered(Delivery.CUT) if account.login is Outcome.CUT_AFTER else reply


def _again(session: SsoSession, request: Request, error: str) -> Response:
    username = request.form.get("username", "")
    page = pages.sign_in(_service(request), session.csrf, username=username, error=error)
    return html_response(401, page, cookies=[LOCALE_COOKIE])


def _code_form(world: World, session: SsoSession, account: Account, error: str = "") -> Response:
    sent = session.challenge is not None and session.challenge.sent_at is not None
    page = pages.code(
        session.service,
        world.settings.widget_mfa_title,
        guid=account.garmin_guid,
        method=str(account.method or ""),
        sent_to=(account.destination or "") if sent else "",
        csrf=session.csrf,
        error=error,
    )
    return html_response(200, page, cookies=[LOCALE_COOKIE])


def _rejected(world: World, session: SsoSession, account: Account, rejection: Outcome) -> Response:
    match rejection:
        case Outcome.LOCKED:
            return html_response(200, pages.notice("Account Locked", "Your account is locked."))
        case Outcome.LIMIT:
            return _code_form(world, session, account, "maxLimit")
        case Outcome.EXPIRED:
            return _code_form(world, session, account, "expiredCode")
        case _:
            return _code_form(world, session, account, "invalidCode")


def _success(world: World, session: SsoSession, account: Account, token: str = "") -> Response:
    ticket = world.issue_ticket(account, CLIENT, session.service, "cas")
    page = pages.success(session.service, ticket.value, token)
    return html_response(200, page, cookies=[LOCALE_COOKIE, *signed_in_cookies(ticket)])


def _expired() -> Response:
    return html_response(401, pages.notice("Session Expired", "Your session has expired."))


def _session(world: World, request: Request) -> SsoSession | None:
    return world.sessions.find(request.cookies.get("SESSION"), request.domain, world.now())


def _service(request: Request) -> str:
    return request.query.get("service", f"https://{request.host}/sso/embed")


def _has_csrf(session: SsoSession, request: Request) -> bool:
    return secrets.compare_digest(session.csrf, request.form.get("_csrf", ""))
