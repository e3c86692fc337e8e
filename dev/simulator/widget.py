"""The HTML flow of the embedded widget (garminconnect's third strategy)."""

import secrets
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from dev.simulator import pages
from dev.simulator.accounts import PASSWORD, Account
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
from dev.simulator.replies import CAPTCHA_IN_XML, INFRASTRUCTURE, error_in_json, rate_limited
from dev.simulator.sessions import Challenge, SsoSession
from dev.simulator.state import State
from dev.simulator.verdicts import VERDICTS
from dev.simulator.words import Outcome

CLIENT = "widget"
LOCALE_COOKIE = "org.springframework.web.servlet.i18n.CookieLocaleResolver.LOCALE=en; Path=/"


def embed_page(state: State, request: Request) -> Response:
    """`GET /sso/embed`: the first cookies, without a SESSION."""
    state.count("sign_in_pages", client=CLIENT)
    cookies = [LOCALE_COOKIE, *cloudflare_cookies(request.domain)]
    return html_response(200, pages.EMBED, cookies=cookies)


def sign_in_page(state: State, request: Request) -> Response:
    """`GET /sso/signin`: the form with its `_csrf`, and its SESSION cookie."""
    session = state.find_session(request) or state.open_session(request.domain, CLIENT)
    state.count("sign_in_pages", client=CLIENT)
    page = pages.sign_in(_service(request), session.csrf)
    return html_response(200, page, cookies=[LOCALE_COOKIE, *page_cookies(session)])


def sign_in(state: State, request: Request) -> Response:
    """`POST /sso/signin`: the credentials, with the session's `_csrf`."""
    account = state.account(request.form.get("username", ""), request.domain)
    if account.login is Outcome.CUT_BEFORE:
        return undelivered(Delivery.CUT)
    state.count("credential_posts", account, CLIENT)
    session = state.find_session(request)
    if session is None:
        return rate_limited()
    if not _has_csrf(session, request):
        return _page(403, pages.notice("Forbidden", "Invalid CSRF token."))
    if account.login in _WITHOUT_VERDICT:
        return _WITHOUT_VERDICT[account.login]
    state.count("credentials_checked", account, CLIENT)
    if account.login is Outcome.WRONG or request.form.get("password") != PASSWORD:
        return _sign_in_error(session, request, "Email or password is wrong.")
    if account.login in VERDICTS and account.login is not Outcome.NO_MORE_CODES:
        return _verdict(account.login)
    session.account, session.client, session.service = account, CLIENT, _service(request)
    if account.method is None:
        reply = _success(state, session, account)
    else:
        reply = _require_code(state, request, session, account)
    return undelivered(Delivery.CUT) if account.login is Outcome.CUT_AFTER else reply


def code_page(state: State, request: Request) -> Response:
    """`GET /sso/verifyMFA/loginEnterMfaCode`: the form for the code."""
    session = state.find_session(request)
    if session is None or session.challenge is None:
        return _verdict(Outcome.SESSION_EXPIRED)
    account = session.challenge.account
    if account.chooses_method:
        return _page(200, pages.choose_method(account.garmin_guid))
    error_id = "maxLimit" if account.login is Outcome.NO_MORE_CODES else ""
    return _code_form(state, session, session.challenge, error_id)


def enter_code(state: State, request: Request) -> Response:
    """`POST /sso/verifyMFA/loginEnterMfaCode`: the code; a wrong one brings the form back."""
    session = state.find_session(request)
    if session is None or (challenge := session.challenge) is None:
        return _verdict(Outcome.SESSION_EXPIRED)
    account = challenge.account
    if account.code is Outcome.CUT_BEFORE:
        return undelivered(Delivery.CUT)
    state.count("codes_checked", account, CLIENT)
    if not _has_csrf(session, request):
        return _page(403, pages.notice("Forbidden", "Invalid CSRF token."))
    if account.code in _WITHOUT_VERDICT:
        return _WITHOUT_VERDICT[account.code]
    outcome = state.check_code(session, challenge, request.form.get("mfa-code", "").strip())
    if outcome in pages.CODE_ERROR_IDS:
        return _code_form(state, session, challenge, pages.CODE_ERROR_IDS[outcome])
    if outcome is not Outcome.ACCEPTED:
        return _verdict(outcome)
    session.login_token = secrets.token_urlsafe(8)[:10]
    state.issued.record("login_token", session.login_token)
    if account.code is Outcome.CUT_AFTER:
        return undelivered(Delivery.CUT)
    query = {"logintoken": session.login_token, "service": session.service, "locale": "en"}
    query |= {"embed": "true", "source": session.service, "embedWidget": "true"}
    url = f"https://{request.host}/sso/login?{urlencode(query, quote_via=quote, safe='')}"
    return redirect(url, cookies=[LOCALE_COOKIE])


def login_token(state: State, request: Request) -> Response:
    """`GET /sso/login?logintoken=…`: the page with the ticket, after a right code."""
    session = state.find_session(request)
    token = request.query.get("logintoken")
    if session is None or session.account is None or not token or token != session.login_token:
        return _verdict(Outcome.SESSION_EXPIRED)
    session.login_token = ""
    return _success(state, session, session.account, token)


def request_code(state: State, request: Request) -> Response:
    """`POST /sso/verifyMFA/mfaCode`: send the code (again), after `resend_interval_s`."""
    session = state.find_session(request)
    if session is None or (challenge := session.challenge) is None:
        return json_response(401, {"error": "sessionExpired"})
    account, sent_at = challenge.account, challenge.sent_at
    if request.json.get("customerGuid") != account.garmin_guid or account.destination is None:
        return json_response(400, {"error": "invalidRequest"})
    if account.login is Outcome.NO_MORE_CODES:
        return json_response(429, {"error": "codeEntryMaxLimit"})
    if sent_at is not None and state.now() - sent_at < state.settings.resend_interval_s:
        return rate_limited()
    state.send_code(challenge, CLIENT)
    return json_response(200, {"codeSentTo": account.destination})


def _require_code(
    state: State, request: Request, session: SsoSession, account: Account
) -> Response:
    challenge = state.open_challenge(session, account)
    is_sent = state.settings.widget_sends_code and not account.chooses_method
    if account.destination is not None and is_sent and account.login is not Outcome.NO_MORE_CODES:
        state.send_code(challenge, CLIENT)
    query = request.target.partition("?")[2]
    url = f"https://{request.host}/sso/verifyMFA/loginEnterMfaCode?{query}"
    return redirect(url, cookies=[LOCALE_COOKIE])


def _success(state: State, session: SsoSession, account: Account, token: str = "") -> Response:
    ticket = state.issue_ticket(account, CLIENT, session.service, "cas")
    page = pages.success(session.service, ticket.value, token)
    return _page(200, page, *signed_in_cookies(ticket))


def _sign_in_error(session: SsoSession, request: Request, error: str) -> Response:
    username = request.form.get("username", "")
    return _page(
        401, pages.sign_in(_service(request), session.csrf, username=username, error=error)
    )


def _code_form(
    state: State, session: SsoSession, challenge: Challenge, error_id: str = ""
) -> Response:
    account = challenge.account
    page = pages.code(
        session.service,
        state.settings.widget_mfa_title,
        guid=account.garmin_guid,
        method=str(account.method or ""),
        sent_to=(account.destination or "") if challenge.sent_at is not None else "",
        csrf=session.csrf,
        error_id=error_id,
    )
    return _page(200, page)


def _verdict(outcome: Outcome) -> Response:
    said = VERDICTS.get(outcome, VERDICTS[Outcome.SESSION_EXPIRED])
    return _page(said.page_status, pages.notice(said.title, "You can't go on.", said.script_status))


def _page(status: int, page: str, *cookies: str) -> Response:
    return html_response(status, page, cookies=[LOCALE_COOKIE, *cookies])


def _service(request: Request) -> str:
    return request.query.get("service", f"https://{request.host}/sso/embed")


def _has_csrf(session: SsoSession, request: Request) -> bool:
    return secrets.compare_digest(session.csrf, request.form.get("_csrf", ""))


# Outcomes that end a request before Garmin looks at its password or code. A 427 inside the JSON
# of the other flows is missing here: the widget lets these accounts in.
_WITHOUT_VERDICT: Mapping[Outcome, Response] = {
    **INFRASTRUCTURE,
    Outcome.LIMITED_IN_BODY: rate_limited(),
    Outcome.REFUSED_427: error_in_json(427, 427),
    Outcome.CAPTCHA_IN_XML: CAPTCHA_IN_XML,
}
