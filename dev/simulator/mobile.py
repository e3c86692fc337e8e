"""The JSON flows: mobile (garth, garminconnect first) and portal, which differ in paths alone."""

from collections.abc import Mapping

from dev.simulator.accounts import PASSWORD, Account, Method, Outcome
from dev.simulator.cookies import balancer_cookie, page_cookies, signed_in_cookies
from dev.simulator.messages import (
    Delivery,
    Request,
    Response,
    html_response,
    json_response,
    undelivered,
)
from dev.simulator.replies import error_in_json, infrastructure_reply, limited
from dev.simulator.sessions import SsoSession
from dev.simulator.tokens import Ticket
from dev.simulator.world import World

GARTH_CLIENT = "GCM_ANDROID_DARK"
PAGE = """<!DOCTYPE html>
<html lang="en-US"><head><meta charset="utf-8"><title>Garmin Sign In</title></head>
<body><div id="app"></div></body></html>
"""
HTTP_NAMES = {200: "OK", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 423: "LOCKED"}


def sign_in_page(world: World, request: Request) -> Response:
    """`GET /{mobile|portal}/sso/{locale}/sign-in`: HTML, and the cookies a sign-in needs."""
    client = request.query.get("clientId", "")
    session = world.sessions.find(request.cookies.get("SESSION"), request.domain, world.now())
    session = session or world.open_session(request.domain, client)
    world.count("sign_in_pages", client=client)
    return html_response(200, PAGE, cookies=page_cookies(session))


def login(world: World, request: Request) -> Response:
    """`POST /{mobile|portal}/api/login`: the credentials.

    429 without the SESSION of a sign-in page and, for any client but garth's, its Referer.
    """
    account = world.account(str(request.json.get("username", "")), request.domain)
    client = request.query.get("clientId", "")
    if account.login is Outcome.CUT_BEFORE:
        return undelivered(Delivery.CUT)
    world.count("credential_posts", account, client)
    session = world.sessions.find(request.cookies.get("SESSION"), request.domain, world.now())
    if session is None or (client != GARTH_CLIENT and "referer" not in request.headers):
        return limited()
    if (reply := _reply_before_verdict(account)) is not None:
        return reply
    world.count("credentials_checked", account, client)
    if account.login is Outcome.WRONG or request.json.get("password") != PASSWORD:
        return verdict(401, "INVALID_USERNAME_PASSWORD", "generalLoginInvalidUsernameOrPassword")
    return _accept_credentials(world, request, session, account)


def verify_code(world: World, request: Request) -> Response:
    """`POST /{mobile|portal}/api/mfa/verifyCode`: the code, in the session that asked for it."""
    session = world.sessions.find(request.cookies.get("SESSION"), request.domain, world.now())
    if session is None or session.challenge is None:
        return verdict(401, "SESSION_EXPIRED", "sessionExpired")
    account, client = session.challenge.account, session.client
    if account.code is Outcome.CUT_BEFORE:
        return undelivered(Delivery.CUT)
    world.count("codes_checked", account, client)
    if account.code is not Outcome.CUT_AFTER:
        reply = infrastructure_reply(account.code)
        if reply is not None:
            return reply
    if account.code is Outcome.LIMITED_IN_BODY:
        return error_in_json(429, 200)
    rejection = code_rejection(world, session, str(request.json.get("mfaVerificationCode", "")))
    if rejection is not None:
        return _rejected(world, rejection)
    if account.code is Outcome.CUT_AFTER:
        world.issue_ticket(account, client, session.service, "sso")
        return undelivered(Delivery.CUT)
    return _success(world, session, account)


def embed(world: World, request: Request) -> Response:
    """`GET /portal/sso/embed`: sets the cookie of the load balancer, no more."""
    return html_response(200, "", cookies=[balancer_cookie()])


def code_rejection(world: World, session: SsoSession, code: str) -> Outcome | None:
    """Check a code and settle its challenge; None where it was right."""
    challenge = session.challenge
    if challenge is None:
        return Outcome.EXPIRED
    account = challenge.account
    if account.code in (Outcome.WRONG, Outcome.LOCKED, Outcome.LIMIT, Outcome.EXPIRED):
        return account.code
    if challenge.wrong_codes >= world.settings.max_wrong_codes:
        return Outcome.LIMIT
    if challenge.is_right(code, world.now()):
        challenge.done = True
        world.count("codes_accepted", account, session.client)
        return None
    if challenge.is_expired(world.now()):
        return Outcome.EXPIRED
    challenge.wrong_codes += 1
    return Outcome.WRONG


def verdict(
    http_status: int,
    kind: str,
    message: str,
    *,
    service: str | None = None,
    mfa: Mapping[str, object] | None = None,
    ticket: Ticket | None = None,
) -> Response:
    """A reply in the one shape that both flows use for everything."""
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
        "consentTypeList": None,
        "captchaAlreadyPassed": False,
        "samlResponse": None,
        "authType": "CAS" if ticket else None,
    }
    return json_response(http_status, value, cookies=signed_in_cookies(ticket) if ticket else ())


def _reply_before_verdict(account: Account) -> Response | None:
    match account.login:
        case Outcome.CUT_AFTER:
            return None
        case Outcome.REFUSED_427_IN_BODY:
            return error_in_json(427, 200)
        case Outcome.REFUSED_427:
            return error_in_json(427, 427)
        case Outcome.LIMITED_IN_BODY:
            return error_in_json(429, 200)
        case outcome:
            return infrastructure_reply(outcome)


def _accept_credentials(
    world: World, request: Request, session: SsoSession, account: Account
) -> Response:
    if account.login is Outcome.LOCKED:
        status = world.settings.locked_status
        return verdict(status, "ACCOUNT_LOCKED", "generalLoginAccountLocked")
    if account.login is Outcome.CAPTCHA:
        return verdict(world.settings.captcha_status, "CAPTCHA_REQUIRED", "captchaRequired")
    session.account, session.client = account, request.query.get("clientId", "")
    session.service = request.query.get("service", "")
    if account.method is None:
        reply = _success(world, session, account)
    else:
        reply = _ask_for_code(world, session, account)
    return undelivered(Delivery.CUT) if account.login is Outcome.CUT_AFTER else reply


def _ask_for_code(world: World, session: SsoSession, account: Account) -> Response:
    challenge = world.challenge(session, account)
    if account.destination is not None:
        world.send_code(challenge, session.client)
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
    return verdict(200, "MFA_REQUIRED", "", service=session.service, mfa=mfa)


def _success(world: World, session: SsoSession, account: Account) -> Response:
    ticket = world.issue_ticket(account, session.client, session.service, "sso")
    return verdict(200, "SUCCESSFUL", "", service=session.service, ticket=ticket)


def _rejected(world: World, rejection: Outcome) -> Response:
    match rejection:
        case Outcome.LOCKED:
            status = world.settings.locked_status
            return verdict(status, "ACCOUNT_LOCKED", "generalLoginAccountLocked")
        case Outcome.LIMIT:
            return verdict(401, "MFA_CODE_MAX_LIMIT", "codeEntryMaxLimit")
        case Outcome.EXPIRED:
            return verdict(401, "MFA_CODE_EXPIRED", "codeEntryExpired")
        case _:
            wrong = world.settings.wrong_code
            return verdict(wrong.status, wrong.type, wrong.message)
