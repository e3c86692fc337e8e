"""The detector finds what it is given, in every shape that a leak has had somewhere."""

import base64
import hashlib
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest

from tests.end_to_end.detector import Canary, Detector, Leak

PASSWORD = 'wrong "pässword" \\ 100% & so on'
USERNAME = "Email-Anna.Canary+7@Example.com"
KEY = bytes(range(200, 232))

WRITTEN: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "in a log line's repr": lambda text: f"{({'p': text}, 1)!r}".encode(),
    "in the repr of a repr": lambda text: repr(repr(text)).encode(),
    "in the repr of bytes": lambda text: repr(text.encode()).encode(),
    "in JSON": lambda text: json.dumps({"p": text}).encode(),
    "in JSON in JSON": lambda text: json.dumps(json.dumps({"p": text})).encode(),
    "in a form": lambda text: urlencode({"p": text}).encode(),
    "in a query": lambda text: f"?p={quote(text)}".encode(),
    "in hex": lambda text: text.encode().hex().encode(),
    "as Redis' MONITOR escapes it": lambda text: "".join(
        chr(b) if 32 <= b < 127 and chr(b) not in '"\\' else f"\\x{b:02x}" for b in text.encode()
    ).encode(),
    "in base64 of JSON": lambda text: base64.b64encode(json.dumps(["job", text]).encode()),
    "in base64 in base64": lambda text: base64.b64encode(base64.b64encode(text.encode())),
    "as its hash": lambda text: hashlib.sha256(text.encode()).hexdigest().encode(),
}


@pytest.mark.parametrize("shape", WRITTEN)
def test_a_secret_is_found_however_it_is_written(shape: str) -> None:
    recorded = b"before it " + WRITTEN[shape](PASSWORD) + b" behind it"

    leaks = Detector([Canary.of("password", PASSWORD)]).leaks("log", recorded)

    assert {(leak.place, leak.kind) for leak in leaks} == {("log", "password")}


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_found_in_the_middle_of_base64(
    before: int, encode: Callable[[bytes], bytes]
) -> None:
    recorded = b"x:" + encode(b"." * before + KEY + b"...") + b"|"

    assert Detector([Canary("key", KEY)]).leaks("log", recorded)


@pytest.mark.parametrize("spell", [str, str.lower, str.upper, str.title, str.swapcase])
def test_a_username_is_found_in_any_spelling(spell: Callable[[str], str]) -> None:
    detector = Detector([Canary.of("username", USERNAME)])

    assert detector.leaks("log", spell(USERNAME).encode())
    assert detector.leaks("log", quote_plus(spell(USERNAME)).encode())
    assert detector.leaks("log", spell(USERNAME).partition("@")[0].encode())


def test_every_leak_is_reported_and_nothing_else() -> None:
    canaries = [Canary.of("username", "plain-anna@example.com"), Canary.of("ticket", "ST-0123-abc")]
    detector = Detector([*canaries, Canary.of("password", "another secret")])

    leaks = detector.leaks("log", b"user plain-anna@example.com, ticket=ST-0123-abc, ST-0123-ab")

    assert {(leak.place, leak.kind) for leak in leaks} == {("log", "username"), ("log", "ticket")}
    assert all(isinstance(leak, Leak) and b"anna" in leak.around for leak in leaks)
    assert detector.leaks("log", b"Anna, ST-, anothersecret") == set()
