"""The JSON flows, mobile and portal, which differ only in their paths."""

from collections.abc import Mapping

from dev.simulator.accounts import PASSWORD, Account
from dev.simulator.cookies import balancer_cookie, page_cookies, signed_in_cookies
from dev.simulator.messages import (
    Delivery,
    Request,
    Response,
    html_response,
    json_response,
    undelivered,
)
from dev.simulator.replies import CAPTCHA_IN_XML, INFRASTRUCTURE, error_in_json, rate_limited
from dev.simulator.sessions import SsoSession
from dev.simulator.state import State
from dev.simulator.tokens import Ticket
from dev.simulator.verdicts import VERDICTS
from dev.simulator.words import Method, Outcome

GARTH_CLIENT = "GCM_ANDROID_DARK"
PAGE = """<!DOCTYPE html>
<html lang="en-US"><head><meta charset="utf-8"><title>Garmin Sign In</title></head>
<body><div id="app"></div></body></html>
"""
HTTP_NAMES = {200: "OK", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 423: "LOCKED"}


def sign_in_page(state: State, request: Request) -> Response:
    """`GET /{mobile|portal}/sso/{locale}/sign-in`: HTML, and the cookies a sign-in needs."""
    client = request.query.get("clientId", "")
    session = state.find_session(request) or state.open_session(request.domain, client)
    state.count("sign_in_pages", client=client)
    return html_response(200, PAGE, cookies=page_cookies(session))


def login(state: State, request: Request) -> Response:
    """`POST /{mobile|portal}/api/login`: the credentials.

    429 without the SESSION of a sign-in page or, for any client but garth's, without a Referer.
    """
    account = state.account(str(request.json.get("username", "")), request.domain)
    client = request.query.get("clientId", "")
    if account.login is Outcome.CUT_BEFORE:
        return undelivered(Delivery.CUT)
    state.count("credential_posts", account, client)
    session = state.find_session(request)
    if session is None or (client != GARTH_CLIENT and "referer" not in request.headers):
        return rate_limited()
    if account.login in _WITHOUT_VERDICT:
        return _WITHOUT_VERDICT[account.login]
    state.count("credentials_checked", account, client)
    if account.login is Outcome.WRONG or request.json.get("password") != PASSWORD:
        return verdict(401, "INVALID_USERNAME_PASSWORD", "generalLoginInvalidUsernameOrPassword")
    if account.login in VERDICTS:
        return _rejection(state, account.login)
    session.account, session.client = account, client
    session.service = request.query.get("service", "")
    if account.method is None:
        reply = _success(state, session, account)
    else:
        reply = _require_code(state, session, account)
    return undelivered(Delivery.CUT) if account.login is Outcome.CUT_AFTER else reply


def verify_code(state: State, request: Request) -> Response:
    """`POST /{mobile|portal}/api/mfa/verifyCode`: the code, in the session that needs it."""
    session = state.find_session(request)
    if session is None or (challenge := session.challenge) is None:
        return verdict(401, "SESSION_EXPIRED", "sessionExpired")
    account = challenge.account
    if account.code is Outcome.CUT_BEFORE:
        return undelivered(Delivery.CUT)
    state.count("codes_checked", account, session.client)
    if account.code in _WITHOUT_VERDICT:
        return _WITHOUT_VERDICT[account.code]
    code = str(request.json.get("mfaVerificationCode", ""))
    outcome = state.check_code(session, challenge, code)
    if outcome is not Outcome.ACCEPTED:
        return _rejection(state, outcome)
    reply = _success(state, session, account)
    return undelivered(Delivery.CUT) if account.code is Outcome.CUT_AFTER else reply


def embed_page(state: State, request: Request) -> Response:
    """`GET /portal/sso/embed`: only sets the load balancer's cookie."""
    return html_response(200, "", cookies=[balancer_cookie()])


def verdict(
    http_status: int,
    kind: str,
    message: str,
    *,
    service: str | None = None,
    mfa: Mapping[str, object] | None = None,
    ticket: Ticket | None = None,
    consents: list[str] | None = None,
) -> Response:
    """Make a reply in the shape that both flows use for every verdict."""
    value = {
        "serviceURL": service,
        "serviceTicketId": ticket.value if ticket else None,
        "responseStatus": {
            "type": kind,
            "message": message,
            "httpStatus": HTTP_NAMES.get(http_status, "OK"),
        },
        "responseReason": None,
        "customerMfaInfo": mfa,
        "consentTypeList": consents,
        "captchaAlreadyPassed": False,
        "samlResponse": None,
        "authType": "CAS" if ticket else None,
    }
    return json_response(http_status, value, cookies=signed_in_cookies(ticket) if ticket else ())


def _require_code(state: State, session: SsoSession, account: Account) -> Response:
    challenge = state.open_challenge(session, account)
    if account.destination is not None:
        state.send_code(challenge, session.client)
    by_phone = account.method is Method.SMS
    mfa = {
        "email": account.masked_email,
        "phoneNumber": account.masked_phone if by_phone else None,
        "mfaLastMethodUsed": str(account.method),
        "defaultMfaMethod": None,
        "mfaUISetting": {
            "allowPhoneOption": by_phone,
            "allowAddEmailAddress": False,
            "chooseDifferentWayShown": by_phone,
        },
    }
    known = None if account.without_mfa_info else mfa
    return verdict(200, "MFA_REQUIRED", "", service=session.service, mfa=known)


def _success(state: State, session: SsoSession, account: Account) -> Response:
    ticket = state.issue_ticket(account, session.client, session.service, "sso")
    return verdict(200, "SUCCESSFUL", "", service=session.service, ticket=ticket)


def _rejection(state: State, outcome: Outcome) -> Response:
    """The verdict on credentials or a code that was not accepted."""
    settings = state.settings
    if outcome is Outcome.WRONG_WITHOUT_VERDICT:
        return json_response(401, {})
    if outcome is Outcome.CONFLICT:
        return json_response(409, {})
    if outcome not in VERDICTS:
        return verdict(
            settings.wrong_code.status, settings.wrong_code.type, settings.wrong_code.message
        )
    status = {Outcome.LOCKED: settings.locked_status, Outcome.CAPTCHA: settings.captcha_status}
    said = VERDICTS[outcome]
    consents = ["PRIVACY_POLICY"] if outcome is Outcome.CONSENT else None
    return verdict(status.get(outcome, said.status), said.type, said.message, consents=consents)


# Outcomes that end a request before Garmin looks at its password or code.
_WITHOUT_VERDICT: Mapping[Outcome, Response] = {
    **INFRASTRUCTURE,
    Outcome.LIMITED_IN_BODY: error_in_json(429, 200),
    Outcome.REFUSED_427: error_in_json(427, 427),
    Outcome.REFUSED_427_IN_BODY: error_in_json(427, 200),
    Outcome.CAPTCHA_IN_XML: CAPTCHA_IN_XML,
}
