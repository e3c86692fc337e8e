"""What people copy along with a code is forgiven; what is no code is never made into one."""

import re
import string
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from api.contract.requests import INVISIBLE, CodeRequest

PLAIN = string.ascii_letters + string.digits
WIDE = {character: chr(ord(character) + 0xFEE0) for character in PLAIN}
SEPARATORS = (
    "- \u00a0\u1680\u2002\u2009\u202f\u205f\u3000\ufe63\uff0d"
    "\t\n\v\f\r\u2028\u2029"
    "\u00ad\u200b\u200d\u2060\ufeff\u202e\u180e"  # nothing to be seen
)
LOOK_ALIKES = (
    "\u0661\u06f1\u0967\U0001d7cf\u00b9\u2460"  # a one, but not ours
    "\u0410\u0391\u00aa\u0131\u017f\u212a"  # a letter, but not ours
    "\u2010\u2011\u2012\u2013\u2014\u2212"  # a dash, but not ours
    "\u0301\0\x1c\x1f\x7f\x85"
    "._,:;/+"
)

codes = st.text(PLAIN, min_size=4, max_size=10)


@st.composite
def typed(draw: st.DrawFn) -> tuple[str, str]:
    """A code, and a way to type it."""
    code = draw(codes)
    separators = st.text(SEPARATORS, max_size=1)
    letters = [draw(st.sampled_from([character, WIDE[character]])) for character in code]
    text = draw(separators) + "".join(letter + draw(separators) for letter in letters)
    return code, text


def normalised(text: str) -> str:
    """Raises ValidationError."""
    request = CodeRequest.model_validate({"challenge_id": "x", "mfa_code": text})
    return request.mfa_code.get_secret_value()


def refused(text: str) -> bool:
    try:
        normalised(text)
    except ValidationError:
        return True
    return False


@given(typed())
@example(("123456", "\uff11\uff12\uff13\uff0d\uff14\uff15\uff16"))
@example(("123456", "\r\n  123456\u200b\r\n"))
@example(("123456", "123\u00a0456"))
@settings(deadline=None)
def test_what_is_typed_or_pasted_around_a_code_is_ignored(code_and_text: tuple[str, str]) -> None:
    code, text = code_and_text
    assert normalised(text) == code


@given(codes)
@settings(deadline=None)
def test_a_plain_code_is_unchanged(code: str) -> None:
    assert normalised(code) == code


_USUAL = PLAIN + SEPARATORS + "".join(WIDE.values())


@given(st.text() | st.text(_USUAL) | st.text(_USUAL + LOOK_ALIKES))
@example("\u0661\u0662\u0663\u0664")
@example("1234\n")
@example("1" * 11)
@example("1234" + " " * 29)
@settings(deadline=None, max_examples=1000)
def test_an_accepted_code_is_what_was_typed(text: str) -> None:
    plain = {wide: character for character, wide in WIDE.items()}
    kept = "".join(c for c in (plain.get(c, c) for c in text) if c in PLAIN)
    others = {c for c in text if c not in PLAIN and c not in plain and not ignored(c)}
    if refused(text):
        assert others or not 4 <= len(kept) <= 10 or len(text) > 32
    else:
        assert not others
        assert 4 <= len(kept) <= 10
        assert len(text) <= 32
        assert normalised(text) == kept


@pytest.mark.parametrize("look_alike", LOOK_ALIKES, ids=lambda c: f"U+{ord(c):04X}")
@given(code=codes, place=st.integers(0, 10))
@settings(deadline=None, max_examples=20)
def test_lookalike_characters_are_refused(look_alike: str, code: str, place: int) -> None:
    assert refused(code[:place] + look_alike + code[place:])
    assert refused(code[:place] + look_alike + code[place + 1 :])


def ignored(character: str) -> bool:
    return (
        character in SEPARATORS
        or unicodedata.category(character) == "Zs"
        or re.fullmatch(f"[{INVISIBLE}]", character) is not None
    )


@given(st.text() | codes)
@settings(deadline=None)
def test_a_refusal_does_not_show_what_was_typed(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        normalised(f"{text}canary-{text}!")
    assert "canary" not in str(caught.value)
