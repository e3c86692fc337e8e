"""The steps of a sign-in, as logs and metrics name them: few, and without what a path may hold."""

from collections.abc import Mapping
from urllib.parse import urlsplit

OTHER = "other"
_STEPS: Mapping[str, str] = {
    "/mobile/api/mfa/": "mfa",
    "/portal/api/mfa/": "mfa",
    "/sso/verifyMFA/": "mfa",
    "/mobile/api/login": "login",
    "/portal/api/login": "login",
    "/mobile/sso/": "page",
    "/portal/sso/": "page",
    "/sso/embed": "page",
    "/sso/signin": "page",
    "/oauth-service/oauth/preauthorized": "oauth1",
    "/oauth-service/oauth/exchange/": "oauth2",
    "/di-oauth2-service/": "di",
    "/personalapitoken-service/": "key",
    "/userprofile-service/": "profile",
    "/oauth_consumer.json": "consumer",
}
"""By how the path begins. The widget posts the password to the page it read."""

NAMES = frozenset({*_STEPS.values(), OTHER})


def step_of(method: str, url: str) -> str:
    """Return the step that a request belongs to."""
    path = urlsplit(url).path
    step = next((step for prefix, step in _STEPS.items() if path.startswith(prefix)), OTHER)
    return "login" if step == "page" and method == "POST" else step
