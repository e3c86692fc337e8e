"""Garmin without a library: the requests themselves, one browser's worth of cookies at a time."""

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

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
    """One client. Its session follows nothing in the environment."""

    session: requests.Session
    client_id: str = "GCM_ANDROID_DARK"
    service: str = SERVICE
    headers: dict[str, str] = field(default_factory=dict)
    flow: str = "mobile"
    timeout: float = 20

    @property
    def params(self) -> dict[str, str]:
        return {"clientId": self.client_id, "locale": "en-US", "service": self.service}

    def page(self) -> requests.Response:
        url = f"{SSO}/{self.flow}/sso/en/sign-in"
        params = {"clientId": self.client_id}
        return self.session.get(url, params=params, timeout=self.timeout)

    def post_credentials(self, username: str, password: str = PASSWORD) -> requests.Response:
        return self.session.post(
            f"{SSO}/{self.flow}/api/login",
            params=self.params,
            headers=self.headers,
            json={
                "username": username,
                "password": password,
                "rememberMe": False,
                "captchaToken": "",
            },
            timeout=self.timeout,
        )

    def sign_in(self, username: str, password: str = PASSWORD) -> requests.Response:
        self.page()
        return self.post_credentials(username, password)

    def verify(self, code: str, flow: str | None = None) -> requests.Response:
        return self.session.post(
            f"{SSO}/{flow or self.flow}/api/mfa/verifyCode",
            params=self.params,
            json={
                "mfaMethod": "email",
                "mfaVerificationCode": code,
                "rememberMyBrowser": False,
                "reconsentList": [],
                "mfaSetup": False,
            },
            timeout=self.timeout,
        )

    def ticket(self, username: str) -> str:
        """Sign in with a password alone."""
        return str(self.sign_in(username).json()["serviceTicketId"])

    def preauthorized(
        self,
        ticket: str,
        *,
        service: str = SERVICE,
        secret: str = CONSUMER_SECRET,
        signed: dict[str, str] | None = None,
    ) -> requests.Response:
        url = f"{OAUTH}/preauthorized?ticket={ticket}&login-url={service}&accepts-mfa-tokens=true"
        headers = signed or sign("GET", url, secret=secret)
        return self.session.get(url, headers=headers, timeout=self.timeout)

    def exchange(self, token: dict[str, str], body: str = "") -> requests.Response:
        url = f"{OAUTH}/exchange/user/2.0"
        headers = sign("POST", url, body, token["oauth_token"], token["oauth_token_secret"])
        return self.session.post(url, data=body, headers=headers, timeout=self.timeout)

    def di(self, client_id: str = DI_CLIENT, **form: str) -> requests.Response:
        basic = base64.b64encode(f"{client_id}:".encode()).decode()
        return self.session.post(
            DI,
            data={"client_id": client_id, **form},
            headers={"Authorization": f"Basic {basic}"},
            timeout=self.timeout,
        )

    def di_tokens(self, ticket: str) -> dict[str, Any]:
        reply = self.di(grant_type=TICKET_GRANT, service_ticket=ticket, service_url=self.service)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def profile(self, access_token: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {access_token}"}
        return self.session.get(PROFILE, headers=headers, timeout=self.timeout)


@contextmanager
def wire(garmin: Simulator) -> Iterator[Wire]:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": garmin.proxy_url}
        session.verify = garmin.ca_file
        yield Wire(session)


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that another thread is about to do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sign(
    method: str,
    url: str,
    body: str = "",
    token: str | None = None,
    token_secret: str | None = None,
    *,
    secret: str = CONSUMER_SECRET,
) -> dict[str, str]:
    """The headers of a request that is signed as OAuth1 wants it."""
    client = oauthlib.oauth1.Client(CONSUMER_KEY, secret, token, token_secret)
    headers = {"Content-Type": FORM} if method == "POST" else {}
    _, headers, _ = client.sign(url, method, body if headers else None, headers)
    return dict(headers)
