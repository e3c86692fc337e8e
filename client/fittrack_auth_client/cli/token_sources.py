"""Where tokens to import are: a file, a folder, standard input, or where libraries keep them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fittrack_auth_client.cli.errors import CliError
from fittrack_auth_client.cli.inputs import Inputs
from fittrack_auth_client.secret import Secret

STDIN = "-"
_GARMINCONNECT = "garmin_tokens.json"
_GARTH = ("oauth1_token.json", "oauth2_token.json")
_FOLDERS = ("~/.garminconnect", "~/.garth")
_LONGEST = 1 << 16
_SHORTEST_DUMP = 512  # as garminconnect tells tokens from a path


@dataclass(frozen=True)
class FoundTokens:
    """`place` is for people."""

    text: Secret
    place: str


def find_tokens(source: str | None, inputs: Inputs, environment: Mapping[str, str]) -> FoundTokens:
    """Read the tokens at `source`; without one, where the libraries would look for them.

    Raises CliError(`missing_input`, `bad_input`).
    """
    if source is None:
        return _known_place(environment)
    if source == STDIN:
        return FoundTokens(inputs.tokens(), "standard input")
    found = _at(Path(source).expanduser())
    if found is None:  # it may be the tokens themselves, so that it is not repeated
        raise CliError("bad_input", "there is no such file, or no tokens in this folder")
    return found


def _known_place(environment: Mapping[str, str]) -> FoundTokens:
    if dump := environment.get("GARTH_TOKEN"):
        return FoundTokens(Secret(dump), "GARTH_TOKEN")
    named = environment.get("GARMINTOKENS", "")
    if named.startswith("{") or len(named) >= _SHORTEST_DUMP:
        return FoundTokens(Secret(named), "GARMINTOKENS")
    for path in filter(None, (named, *_FOLDERS)):
        found = _at(Path(path).expanduser())
        if found is not None:
            return found
    places = ", ".join((*_FOLDERS, "GARTH_TOKEN and GARMINTOKENS"))
    raise CliError("missing_input", f"there are no tokens in {places}: name a file or a folder")


def _at(path: Path) -> FoundTokens | None:
    try:
        if path.is_dir():
            return _in_folder(path)
        if path.name in _GARTH:
            return _of_garth(path.parent)
        return FoundTokens(Secret(_read(path)), str(path)) if path.is_file() else None
    except (OSError, ValueError):  # ValueError: not UTF-8, or no path at all
        raise CliError("bad_input", "this file can't be read") from None


def _in_folder(folder: Path) -> FoundTokens | None:
    tokens = folder / _GARMINCONNECT
    if tokens.is_file():
        return FoundTokens(Secret(_read(tokens)), str(tokens))
    return _of_garth(folder)


def _of_garth(folder: Path) -> FoundTokens | None:
    parts = [folder / name for name in _GARTH]
    if not any(part.is_file() for part in parts):
        return None
    # A file may be missing or empty: the service says what that means.
    texts = {part.name: _read(part) for part in parts if part.is_file()}
    return FoundTokens(Secret(json.dumps(texts)), str(folder))


def _read(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        text = file.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        raise CliError("bad_input", "this file is too long for tokens")
    if not text.strip():
        raise CliError("bad_input", "this file is empty")
    return text
