"""Cookies of Garmin and Cloudflare, with their recorded attributes."""

import base64
import secrets
import time
from email.utils import formatdate

from dev.simulator.sessions import SsoSession
from dev.simulator.tokens import Ticket

HALF_AN_HOUR = 1800


def page_cookies(session: SsoSession) -> list[str]:
    """Cookies of a sign-in page: host-only ones of the SSO, domain-wide ones of Cloudflare."""
    return [
        f"SESSION={session.cookie}; Path=/; Secure; HttpOnly; SameSite=Lax",
        f"__VCAP_ID__={secrets.token_hex(18)}; Path=/; HttpOnly; Secure; SameSite=Lax",
        *cloudflare_cookies(session.domain),
    ]


def cloudflare_cookies(domain: str) -> list[str]:
    until = formatdate(time.time() + HALF_AN_HOUR, usegmt=True)
    bot_management = f"{secrets.token_urlsafe(32)}-{int(time.time())}-1.0.1.1-{_random_base64(64)}"
    return [
        f"__cf_bm={bot_management}; path=/; expires={until}; domain=.{domain}; "
        "HttpOnly; Secure; SameSite=None",
        balancer_cookie(),
        visitor_cookie(domain),
    ]


def balancer_cookie() -> str:
    """The load balancer's cookie, which keeps a client on one backend."""
    tomorrow = formatdate(time.time() + 23 * 3600, usegmt=True)
    return (
        f"__cflb={_random_base64(32)}; SameSite=None; Secure; path=/; expires={tomorrow}; HttpOnly"
    )


def visitor_cookie(domain: str) -> str:
    """The one cookie that connectapi sets as well."""
    visitor = f"{secrets.token_urlsafe(32)}-{int(time.time() * 1000)}-0.0.1.1-604800000"
    return f"_cfuvid={visitor}; path=/; domain=.{domain}; HttpOnly; Secure; SameSite=None"


def signed_in_cookies(ticket: Ticket) -> list[str]:
    """Cookies of a completed sign-in."""
    domain, guid = ticket.account.domain, ticket.account.garmin_guid
    return [
        f"CASTGC=TGT-{secrets.token_hex(32)}-cas; Path=/; Secure; HttpOnly",
        f"GARMIN-SSO=1; Domain={domain}; Path=/",
        f"GARMIN-SSO-CUST-GUID={guid}; Domain={domain}; Path=/",
    ]


def _random_base64(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=").replace("/", "_")
