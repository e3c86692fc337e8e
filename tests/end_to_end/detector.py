"""Finds secrets in whatever was recorded, however they are written there."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Bytes of a canary at the least: anything shorter turns up by chance."""

_GUESSABLE = {"username", "password", "code", "idempotency key"}
"""Whoever has a plain hash of one of these finds the secret by trying."""

_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")

_Needles = dict[bytes, list[tuple[bytes, str, str]]]
"""What to look for, of which kind and in which shape, by its first few bytes."""


@dataclass(frozen=True)
class Canary:
    """A secret to look for. `kind` says what it is: `password`, `ticket`…"""

    kind: str
    value: bytes

    @classmethod
    def of(cls, kind: str, text: str) -> "Canary":
        return cls(kind, text.encode())


@dataclass(frozen=True, order=True)
class Leak:
    """A canary that was found: where, written how, and what stood around it."""

    place: str
    kind: str
    shape: str
    around: bytes


class Detector:
    """Looks for all canaries at once: each position is looked up by its first few bytes."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self._as_it_is: _Needles = {}
        self._in_any_case: _Needles = {}
        for canary in {spelt for given in canaries for spelt in _spellings(given)}:
            assert len(canary.value) >= SHORTEST, canary
            shape_of = {needle: shape for shape, needle in reversed(_shapes(canary).items())}
            for needle, shape in shape_of.items():  # the first of those that are written the same
                _add(self._as_it_is, needle, canary.kind, shape)
                if canary.kind == "username" and "base64" not in shape:
                    _add(self._in_any_case, needle.lower(), canary.kind, shape)

    def leaks(self, place: str, recorded: bytes) -> set[Leak]:
        """One for each kind of canary and shape that stands in what was recorded at a place."""
        found: dict[tuple[str, str], Leak] = {}
        for layer in unfolded(recorded):
            hits = (_hits(self._as_it_is, layer), _hits(self._in_any_case, layer.lower()))
            for at, kind, shape in chain(*hits):
                around = layer[max(0, at - 60) : at + 100]
                found.setdefault((kind, shape), Leak(place, kind, shape, around))
        return set(found.values())


def _add(needles: _Needles, needle: bytes, kind: str, shape: str) -> None:
    needles.setdefault(needle[:SHORTEST], []).append((needle, kind, shape))


def _hits(needles: _Needles, data: bytes) -> Iterator[tuple[int, str, str]]:
    for at in range(len(data) - SHORTEST + 1):
        if data[at : at + SHORTEST] in needles:
            for needle, kind, shape in needles[data[at : at + SHORTEST]]:
                if data.startswith(needle, at):
                    yield at, kind, shape


def unfolded(recorded: bytes) -> Iterator[bytes]:
    """What was recorded, its escapes undone, and what is base64 in it decoded."""
    yield recorded
    plain = unescaped(recorded)
    if plain != recorded:
        yield plain
    decoded = b"\n".join(_decoded(piece) for piece in _BASE64.findall(plain))
    yield decoded
    yield unescaped(decoded)


def unescaped(data: bytes) -> bytes:
    r"""Without backslashes: `\"` and `\x00`, as Redis' MONITOR, JSON and `repr` write them."""

    def undo(match: re.Match[bytes]) -> bytes:
        escape = match[1]
        if len(escape) == 3:
            return binascii.unhexlify(escape[1:])
        return _ESCAPED.get(escape, escape)

    return _ESCAPE.sub(undo, data)


def _decoded(piece: bytes) -> bytes:
    standard = piece.translate(bytes.maketrans(b"-_", b"+/"))
    return base64.b64decode(standard[: len(standard) - len(standard) % 4])


def _spellings(canary: Canary) -> Iterator[Canary]:
    """An address is the same in any spelling, and its first half is enough to know it."""
    yield canary
    if canary.kind == "username":
        for whole in (canary.value, canary.value.lower(), canary.value.upper()):
            yield Canary(canary.kind, whole)
            yield Canary(canary.kind, whole.partition(b"@")[0])


def _shapes(canary: Canary) -> dict[str, bytes]:
    """Needles by the names of their shapes."""
    value = canary.value
    shapes = {"as it is": value, "in hex": value.hex().encode()}
    shapes["in HEX"] = shapes["in hex"].upper()
    for before in range(3):
        standard = _inside_base64(value, before)
        shapes[f"in base64, {before} bytes into it"] = standard
        shapes[f"in URL-safe base64, {before} bytes into it"] = standard.translate(
            bytes.maketrans(b"+/", b"-_")
        )
    shapes["in the repr of bytes"] = repr(value)[2:-1].encode()
    shapes["in a URL"] = quote(value, safe="").encode()
    shapes["in a path"] = quote(value).encode()
    shapes["in a form"] = quote_plus(value).encode()
    text = value.decode(errors="replace")
    if text.encode() == value:
        shapes["in a repr"] = repr(text)[1:-1].encode()
        shapes["in ASCII"] = ascii(text)[1:-1].encode()
        shapes["in JSON"] = json.dumps(text)[1:-1].encode()
        shapes["in JSON with letters"] = json.dumps(text, ensure_ascii=False)[1:-1].encode()
    if canary.kind in _GUESSABLE:
        for name in ("md5", "sha1", "sha256", "sha512"):
            shapes[f"as its {name}"] = hashlib.new(name, value).hexdigest().encode()
    return shapes


def _inside_base64(value: bytes, before: int) -> bytes:
    """The characters that depend on nothing but the value, `before` bytes into a group of three."""
    encoded = base64.b64encode(b"\0" * before + value)
    first = -(-before * 8 // 6)
    last = (before + len(value)) * 8 // 6
    return encoded[first:last]
