"""A cookie jar survives the way through JSON with every attribute, host-only ones included."""

import json
from http.cookiejar import Cookie
from typing import Any

import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.cookies import RequestsCookieJar, create_cookie, get_cookie_header

from worker.drivers.cookies import dump_cookies, load_cookies

NAMES = st.text(
    alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=';,="\\ '),
    min_size=1,
    max_size=12,
)
DOMAINS = st.sampled_from(["sso.garmin.com", ".garmin.com", "connect.garmin.cn", ".garmin.cn"])
URLS = st.sampled_from(
    [
        f"{scheme}://{host}{path}"
        for scheme in ("http", "https")
        for host in ("sso.garmin.com", "connect.garmin.com", "sso.garmin.com:443", "x.garmin.cn")
        for path in ("/", "/sso/signin", "/mobile/api/login")
    ]
)


@st.composite
def cookies(draw: st.DrawFn) -> Cookie:
    rest: dict[str, str | None] = draw(
        st.dictionaries(st.sampled_from(["HttpOnly", "SameSite"]), st.none() | st.text(max_size=6))
    )
    domain, port = draw(DOMAINS), draw(st.none() | st.just("443"))
    return Cookie(
        version=draw(st.sampled_from([0, 1, None])),
        name=draw(NAMES),
        value=draw(st.none() | st.text(max_size=60)),
        port=port,
        port_specified=port is not None,
        domain=domain,
        domain_specified=draw(st.booleans()),
        domain_initial_dot=domain.startswith("."),
        path=draw(st.sampled_from(["/", "/sso", "/mobile/api"])),
        path_specified=draw(st.booleans()),
        secure=draw(st.booleans()),
        expires=draw(st.none() | st.integers(0, 2**33)),
        discard=draw(st.booleans()),
        comment=draw(st.none() | st.text(max_size=5)),
        comment_url=draw(st.none() | st.text(max_size=5)),
        rest=rest,  # type: ignore[arg-type] # typeshed knows no attribute without a value
        rfc2109=draw(st.booleans()),
    )


def attributes(jar: RequestsCookieJar) -> list[dict[str, Any]]:
    return sorted((vars(cookie) for cookie in jar), key=repr)


@given(st.lists(cookies(), max_size=6))
@settings(deadline=None)
def test_every_attribute_is_restored(kept: list[Cookie]) -> None:
    jar = RequestsCookieJar()
    for cookie in kept:
        jar.set_cookie(cookie)
    before = attributes(jar)
    restored = load_cookies(json.loads(json.dumps(dump_cookies(jar))))
    assert attributes(restored) == before


def header(jar: RequestsCookieJar, url: str) -> str | None:
    request = requests.Request("GET", url).prepare()
    found: str | None = get_cookie_header(jar, request)  # type: ignore[no-untyped-call]
    return found


@given(st.lists(cookies(), max_size=6), URLS)
@settings(deadline=None)
def test_restored_cookies_go_to_the_same_places(kept: list[Cookie], url: str) -> None:
    jar = RequestsCookieJar()
    for cookie in kept:
        cookie.version = cookie.version or 0  # http.cookiejar can keep one without, not send it
        jar.set_cookie(cookie)
    restored = load_cookies(json.loads(json.dumps(dump_cookies(jar))))
    assert header(restored, url) == header(jar, url)


def test_a_host_only_cookie_stays_host_only() -> None:
    jar = RequestsCookieJar()
    host_only = create_cookie("SESSION", "one", domain="sso.garmin.com", secure=True)  # type: ignore[no-untyped-call]
    host_only.domain_specified = False
    jar.set_cookie(host_only)
    jar.set_cookie(create_cookie("__cf_bm", "two", domain=".garmin.com", secure=True))  # type: ignore[no-untyped-call]
    restored = load_cookies(json.loads(json.dumps(dump_cookies(jar))))
    for each in (jar, restored):
        assert header(each, "https://connect.garmin.com/") == "__cf_bm=two"
        assert set((header(each, "https://sso.garmin.com/") or "").split("; ")) == {
            "SESSION=one",
            "__cf_bm=two",
        }
        assert header(each, "http://sso.garmin.com/") is None
        assert header(each, "https://sso.garmin.cn/") is None


def test_an_empty_jar_is_an_empty_list() -> None:
    assert dump_cookies(RequestsCookieJar()) == []
    assert len(load_cookies([])) == 0
