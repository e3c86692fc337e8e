"""Sealed values open for who sealed them, for nothing else, and keys never show."""

import base64

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dev.stack import new_key
from shared.crypto.keyring import Keyring, Purpose
from shared.crypto.tokens import new_token, token_hash
from shared.errors import ConfigurationError, SealBrokenError

KEYRING = Keyring.parse(new_key("a"))
PURPOSES = st.sampled_from(list(Purpose))
NAMESAKE = Keyring.parse(new_key("a"))
SUBJECTS = st.text(max_size=20) | st.sampled_from(
    ["", "\0", "one", "one\0", "\0one", *(f"{purpose}\0one" for purpose in Purpose)]
)
PLACES = st.tuples(st.sampled_from([KEYRING, NAMESAKE]), PURPOSES, SUBJECTS)
"""Where a value is kept: under which key, for what, and whose it is."""


@given(st.binary(max_size=200), PURPOSES, st.text(max_size=40))
@settings(deadline=None)
def test_what_was_sealed_opens_again(plaintext: bytes, purpose: Purpose, subject: str) -> None:
    blob = KEYRING.seal(plaintext, purpose, subject)
    assert KEYRING.open(blob, purpose, subject) == plaintext


def test_a_sealed_value_does_not_show_what_is_in_it() -> None:
    plaintext = b"a text of some length"
    blob = KEYRING.seal(plaintext, Purpose.CHALLENGE, "one")
    assert plaintext not in blob
    assert plaintext not in base64.urlsafe_b64decode(blob.split(b".")[2] + b"==")


def test_the_same_value_is_never_sealed_alike() -> None:
    blobs = {KEYRING.seal(b"same", Purpose.CHALLENGE, "one") for _ in range(100)}
    assert len(blobs) == 100


@given(PURPOSES, PURPOSES)
@settings(deadline=None)
def test_another_purpose_does_not_open(purpose: Purpose, other: Purpose) -> None:
    assume(purpose is not other)
    blob = KEYRING.seal(b"secret", purpose, "one")
    with pytest.raises(SealBrokenError):
        KEYRING.open(blob, other, "one")


@given(st.text(max_size=20), st.text(max_size=20))
@settings(deadline=None)
def test_another_subject_does_not_open(subject: str, other: str) -> None:
    assume(subject != other)
    blob = KEYRING.seal(b"secret", Purpose.CHALLENGE, subject)
    with pytest.raises(SealBrokenError):
        KEYRING.open(blob, Purpose.CHALLENGE, other)


@given(st.binary(max_size=40), PLACES, PLACES)
@settings(deadline=None, max_examples=300)
def test_what_was_sealed_for_one_place_opens_in_no_other(
    plaintext: bytes, here: tuple[Keyring, Purpose, str], there: tuple[Keyring, Purpose, str]
) -> None:
    assume(here != there)
    keyring, purpose, subject = here
    blob = keyring.seal(plaintext, purpose, subject)
    keyring, purpose, subject = there
    with pytest.raises(SealBrokenError):
        keyring.open(blob, purpose, subject)


@pytest.mark.parametrize("name", ["a", "b"])
def test_another_key_does_not_open_whatever_its_name(name: str) -> None:
    blob = KEYRING.seal(b"secret", Purpose.CHALLENGE, "one")
    with pytest.raises(SealBrokenError):
        Keyring.parse(new_key(name)).open(blob, Purpose.CHALLENGE, "one")


@given(st.binary(max_size=40), st.data())
@settings(deadline=None, max_examples=500)
def test_an_altered_byte_does_not_open(plaintext: bytes, data: st.DataObject) -> None:
    blob = KEYRING.seal(plaintext, Purpose.CHALLENGE, "one")
    place = data.draw(st.integers(0, len(blob) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != blob[place]))
    altered = blob[:place] + bytes([byte]) + blob[place + 1 :]
    with pytest.raises(SealBrokenError):
        KEYRING.open(altered, Purpose.CHALLENGE, "one")


@given(st.binary(max_size=40), st.binary(max_size=40), st.data())
@settings(deadline=None, max_examples=300)
def test_no_mixture_of_two_sealed_values_opens(
    plaintext: bytes, other: bytes, data: st.DataObject
) -> None:
    one, two = (KEYRING.seal(text, Purpose.CHALLENGE, "one") for text in (plaintext, other))
    mixture = (
        one[: data.draw(st.integers(0, len(one)))] + two[data.draw(st.integers(0, len(two))) :]
    )
    assume(mixture not in (one, two))
    with pytest.raises(SealBrokenError):
        KEYRING.open(mixture, Purpose.CHALLENGE, "one")


@pytest.mark.parametrize("length", [0, 1, 2])
def test_no_second_spelling_of_a_sealed_value_opens(length: int) -> None:
    blob = KEYRING.seal(b"x" * length, Purpose.CHALLENGE, "one")
    spellings = [blob + b"=", blob + b"==", blob + b"\n"]
    spellings += [blob[:-1] + bytes([last]) for last in range(256) if last != blob[-1]]
    for spelling in spellings:
        with pytest.raises(SealBrokenError):
            KEYRING.open(spelling, Purpose.CHALLENGE, "one")


@pytest.mark.parametrize("blob", [b"", b".", b"1.a", b"2.a.xyz", b"1.a.", b"1.a.AAAA", b"\xff"])
def test_what_is_no_sealed_value_does_not_open(blob: bytes) -> None:
    with pytest.raises(SealBrokenError):
        KEYRING.open(blob, Purpose.CHALLENGE, "one")


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_no_bytes_make_it_fail_otherwise(blob: bytes) -> None:
    with pytest.raises(SealBrokenError):
        KEYRING.open(b"1.a." + blob, Purpose.CHALLENGE, "one")


def test_the_first_key_seals_and_all_of_them_open() -> None:
    old, new = new_key("2026a"), new_key("2026b")
    blob = Keyring.parse(old).seal(b"secret", Purpose.GARMIN_TOKENS, "anna")
    rotated = Keyring.parse(f"{new},{old}")
    assert rotated.open(blob, Purpose.GARMIN_TOKENS, "anna") == b"secret"
    again = rotated.seal(b"secret", Purpose.GARMIN_TOKENS, "anna")
    assert [sealed.split(b".")[1] for sealed in (blob, again)] == [b"2026a", b"2026b"]
    assert rotated.sealing_key_id == "2026b"
    with pytest.raises(SealBrokenError):
        Keyring.parse(old).open(again, Purpose.GARMIN_TOKENS, "anna")


def test_keys_may_stand_apart() -> None:
    assert Keyring.parse(f" {new_key('a')} , {new_key('b')},").key_ids == ("a", "b")


SHORT = base64.b64encode(b"k" * 31).decode()
LONG = base64.b64encode(b"k" * 33).decode()
GOOD = base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        (" , ", "empty"),
        (GOOD, "NAME:BASE64"),
        (f":{GOOD}", "NAME:BASE64"),
        (f"a b:{GOOD}", "NAME:BASE64"),
        (f"{'n' * 33}:{GOOD}", "NAME:BASE64"),
        ("a:", "has 0 bytes"),
        (f"a:{SHORT}", "'a' has 31 bytes"),
        (f"a:{LONG}", "'a' has 33 bytes"),
        (f"a:{GOOD[:-1]}", "'a' is not base64"),
        (f"a:{GOOD[:-4]}!!!!", "'a' is not base64"),
        (f"a:{GOOD[:-4]}\u00e9\u00e9\u00e9=", "'a' is not base64"),
        (f"a:{GOOD},a:{GOOD}", "'a' twice"),
    ],
)
def test_a_faulty_key_is_named_but_never_shown(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Keyring.parse(text)
    message = str(caught.value)
    assert said in message
    assert message.startswith("FITTRACK_ENCRYPTION_KEYS")
    assert len(message.splitlines()) == 1
    assert not any(GOOD[i : i + 6] in message for i in range(len(GOOD) - 6))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text(max_size=80))
@settings(deadline=None)
def test_no_text_makes_reading_keys_fail_otherwise(text: str) -> None:
    for keys in (text, f"a:{text}"):
        try:
            Keyring.parse(keys)
        except ConfigurationError as error:
            assert len(text) < 12 or text not in str(error)  # noqa: PT017 - it may also be fine


def test_a_keyring_does_not_show_its_keys() -> None:
    key = new_key("a")
    keyring = Keyring.parse(key)
    raw = base64.b64decode(key.partition(":")[2])
    for shown in (repr(keyring), str(keyring), f"{keyring}"):
        assert key.partition(":")[2] not in shown
        assert repr(raw)[2:-1] not in shown


def test_a_name_hash_is_keyed_and_stays_while_keys_rotate() -> None:
    old, new = new_key("a"), new_key("b")
    name_hash = Keyring.parse(old).hash_name("anna@example.com")
    assert Keyring.parse(f"{new},{old}").hash_name("anna@example.com") == name_hash
    assert Keyring.parse(new).hash_name("anna@example.com") != name_hash
    assert Keyring.parse(old).hash_name("bob@example.com") != name_hash


def test_tokens_are_long_and_all_different() -> None:
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {43}


def test_a_token_hash_is_sha256() -> None:
    assert token_hash("abc").startswith("ba7816bf8f01cfea")
    assert len(token_hash("abc")) == 64
