"""A client of the simulated Garmin without a library: its requests, one by one."""

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import oauthlib.oauth1
import requests

from dev.simulator import PASSWORD, Simulator
from dev.simulator.di import TICKET_GRANT
from dev.simulator.oauth1 import CONSUMER_KEY, CONSUMER_SECRET

SSO = "https://sso.garmin.com"
OAUTH = "https://connectapi.garmin.com/oauth-service/oauth"
PROFILE = "https://connectapi.garmin.com/userprofile-service/socialProfile"
DI = "https://diauth.garmin.com/di-oauth2-service/oauth/token"
DI_CLIENT = "GARMIN_CONNECT_MOBILE_ANDROID_DI_2025Q2"
SERVICE = "https://mobile.integration.garmin.com/gcm/android"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Wire:
    """One client, with cookies of its own. Ignores the environment."""

    session: requests.Session
    client_id: str = "GCM_ANDROID_DARK"
    headers: dict[str, str] = field(default_factory=dict)
    timeout: float = 20

    def get(self, url: str, **options: Any) -> requests.Response:  # noqa: ANN401
        return self.session.get(url, timeout=self.timeout, **options)

    def post(self, url: str, **options: Any) -> requests.Response:  # noqa: ANN401
        return self.session.post(url, timeout=self.timeout, **options)

    def page(self) -> requests.Response:
        return self.get(f"{SSO}/mobile/sso/en/sign-in", params={"clientId": self.client_id})

    def post_credentials(
        self, username: str, password: str = PASSWORD, flow: str = "mobile"
    ) -> requests.Response:
        body = {
            "username": username,
            "password": password,
            "rememberMe": False,
            "captchaToken": "",
        }
        url = f"{SSO}/{flow}/api/login"
        return self.post(url, params=self._params(), headers=self.headers, json=body)

    def sign_in(self, username: str, password: str = PASSWORD) -> requests.Response:
        self.page()
        return self.post_credentials(username, password)

    def verify(self, code: str, flow: str = "mobile") -> requests.Response:
        body = {
            "mfaMethod": "email",
            "mfaVerificationCode": code,
            "rememberMyBrowser": False,
            "reconsentList": [],
            "mfaSetup": False,
        }
        return self.post(f"{SSO}/{flow}/api/mfa/verifyCode", params=self._params(), json=body)

    def ticket(self, username: str) -> str:
        """Sign in without a code and return the ticket."""
        return str(self.sign_in(username).json()["serviceTicketId"])

    def preauthorized(
        self,
        ticket: str,
        *,
        service: str = SERVICE,
        secret: str = CONSUMER_SECRET,
        signed: dict[str, str] | None = None,
    ) -> requests.Response:
        url = preauthorized_url(ticket, service)
        return self.get(url, headers=signed or sign("GET", url, secret=secret))

    def oauth1_token(self, ticket: str) -> dict[str, str]:
        return dict(parse_qsl(self.preauthorized(ticket).text))

    def exchange(self, token: dict[str, str], body: str = "") -> requests.Response:
        url = f"{OAUTH}/exchange/user/2.0"
        headers = sign("POST", url, body, token["oauth_token"], token["oauth_token_secret"])
        return self.post(url, data=body, headers=headers)

    def di(self, client_id: str = DI_CLIENT, **form: str) -> requests.Response:
        basic = base64.b64encode(f"{client_id}:".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        return self.post(DI, data={"client_id": client_id, **form}, headers=headers)

    def exchange_at_di(self, ticket: str, client_id: str = DI_CLIENT) -> requests.Response:
        grant = {"grant_type": TICKET_GRANT, "service_ticket": ticket, "service_url": SERVICE}
        return self.di(client_id, **grant)

    def refresh_at_di(self, refresh_token: str) -> requests.Response:
        return self.di(grant_type="refresh_token", refresh_token=refresh_token)

    def di_tokens(self, username: str) -> dict[str, Any]:
        """Sign in without a code and return the DI tokens."""
        reply = self.exchange_at_di(self.ticket(username))
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def profile(self, access_token: str, url: str = PROFILE) -> requests.Response:
        return self.get(url, headers={"Authorization": f"Bearer {access_token}"})

    def _params(self) -> dict[str, str]:
        return {"clientId": self.client_id, "locale": "en-US", "service": SERVICE}


@contextmanager
def wire(garmin: Simulator) -> Iterator[Wire]:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": garmin.proxy_url}
        session.verify = garmin.ca_file
        yield Wire(session)


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def preauthorized_url(ticket: str, service: str = SERVICE) -> str:
    return f"{OAUTH}/preauthorized?ticket={ticket}&login-url={service}&accepts-mfa-tokens=true"


def sign(
    method: str,
    url: str,
    body: str = "",
    token: str | None = None,
    token_secret: str | None = None,
    *,
    secret: str = CONSUMER_SECRET,
) -> dict[str, str]:
    """Return the headers of a request signed with OAuth1."""
    client = oauthlib.oauth1.Client(CONSUMER_KEY, secret, token, token_secret)
    headers = {"Content-Type": FORM} if method == "POST" else {}
    _, headers, _ = client.sign(url, method, body if headers else None, headers)
    return dict(headers)
