"""The operator's accent colour, moved until it can be read: WCAG 2.2's contrast of 4.5 to 1."""

from dataclasses import dataclass

DEFAULT = "#0b62c4"
ENOUGH = 4.5
_STEPS = 100

_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
LIGHT_SURFACE = "#ffffff"
DARK_SURFACE = "#1c222b"
"""The surfaces of the page, as its style sheet has them."""

_Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Shade:
    """A colour for links and buttons, and one for the text on a button."""

    accent: str
    on_accent: str


def shades(accent: str | None) -> tuple[Shade, Shade]:
    """Return the shades for a light and a dark page, as close to `accent` as can be read."""
    colour = _parse(accent or DEFAULT)
    return (
        _shade(colour, _parse(LIGHT_SURFACE), _BLACK),
        _shade(colour, _parse(DARK_SURFACE), _WHITE),
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    return _contrast(_parse(one), _parse(other))


def _shade(colour: _Colour, surface: _Colour, towards: _Colour) -> Shade:
    """Mix with `towards` until it stands out from the surface, and some text from it."""
    for step in range(_STEPS + 1):
        mixed = _mix(colour, towards, step / _STEPS)
        text = _WHITE if _contrast(_WHITE, mixed) >= ENOUGH else _BLACK
        if min(_contrast(mixed, surface), _contrast(text, mixed)) >= ENOUGH:
            return Shade(_hex(mixed), _hex(text))
    return Shade(_hex(towards), _hex(surface))


def _mix(colour: _Colour, other: _Colour, share: float) -> _Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _contrast(one: _Colour, other: _Colour) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: _Colour) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def _parse(text: str) -> _Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _hex(colour: _Colour) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
