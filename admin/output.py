"""How the operator's commands print."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def json_line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, default=_text, ensure_ascii=False)


def line(*parts: object) -> str:
    """Join parts with tabs, without what would break the line or command the terminal."""
    return "\t".join(_printable(str(part)) for part in parts)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _text(value: object) -> str:
    return moment(value) if isinstance(value, datetime) else str(value)
