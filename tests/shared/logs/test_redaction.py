"""What no log line shows, whoever wrote it and however it got there."""

import asyncio
import base64
import json
import logging
import traceback
import uuid
import warnings
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.crypto.tokens import new_token
from shared.logs.context import job_context
from shared.logs.redaction import RULES, SENSITIVE_LIBRARIES, redacted
from tests.logs import captured_logs, parsed

log = logging.getLogger("library")

CANARY = st.text(max_size=20).map(lambda text: f"canary{text}")
SURROUNDINGS = st.text(max_size=30).filter(lambda text: "%" not in text)
BYTES_32 = st.binary(min_size=32, max_size=32)


def line(
    message: object, *args: object, level: int = logging.INFO, **more: object
) -> dict[str, Any]:
    """What becomes of one line that a library logs."""
    with captured_logs() as written:
        log.log(level, message, *args, **more)  # type: ignore[arg-type]
    [found] = parsed(written.getvalue())
    return found


def event(message: object, *args: object) -> str:
    return str(line(message, *args)["event"])


def caught(error: Exception, cause: Exception | None = None) -> Exception:
    """The error, raised and caught."""
    try:
        raise error from cause
    except type(error) as found:
        return found


# ---- Shapes -----------------------------------------------------------------------------------


@given(BYTES_32, SURROUNDINGS, SURROUNDINGS)
def test_our_own_tokens_are_hidden(data: bytes, before: str, after: str) -> None:
    token = base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert len(token) == len(new_token())
    assert token not in event(before + token + after)
    assert token not in event("%s%s%s", before, token, after)


@given(BYTES_32, SURROUNDINGS, SURROUNDINGS)
def test_sealing_keys_are_hidden(data: bytes, before: str, after: str) -> None:
    key = base64.b64encode(data).decode()
    assert key[:-1] not in event(before + key + after)


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,30}@[a-z0-9-]{1,9}\.[a-z]{2,5}", fullmatch=True)
)
def test_mail_addresses_are_hidden(address: str) -> None:
    local, _, domain = address.partition("@")
    for written in (address, f"{local}%40{domain}"):
        said = event(f"somebody <{written}>, who")
        assert written not in said
        assert domain not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ticket at ST-0123456-aBcDeF-sso, redeemed", "ticket at ***, redeemed"),
        ("TGT-12-x.y", "***"),
        ("'Bearer abc.def' was sent", "'Bearer *** was sent"),
        ("basic dXNlcjpwYXNz", "basic ***"),
        ("JWT eyJhbGciOi.eyJzdWIi.c2ln end", "JWT *** end"),
        ('"GET /api/jobs/1?wait=20&x=y HTTP/1.1" 200', '"GET /api/jobs/1?*** HTTP/1.1" 200'),
        ("/login?hunter2", "/login?***"),
        ("redis://:hunter2@127.0.0.1:6379/0", "redis://***@127.0.0.1:6379/0"),
        ("postgresql+psycopg://fit:hun@ter2@db/fit", "postgresql+psycopg://***@db/fit"),
        ("password=correct horse battery", "password=***"),
        ("Cookie: SESSION=abc; __cflb=def", "Cookie: ***"),
        ("{'mfa_code': '123456', 'stage': 'x'}", "{'mfa_code': '***', 'stage': 'x'}"),
        ('{"mfaVerificationCode": "123456"}', '{"mfaVerificationCode": "***"}'),
        ("{'query_string': b'a=b', 'path': '/x'}", "{'query_string': '***', 'path': '/x'}"),
        ('\\"access_token\\": \\"abc\\" and', '\\"access_token\\": ***'),
        ("{'tokens': {'one': 'abc'}}", "{'tokens': ***"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert event(text) == shown
    assert event(shown) == shown


FRAGMENTS = st.sampled_from(
    [
        *("PassWord", "pass", "word", "TOKENS", "mfa_code", "Code", "e-mail", "user_", "name"),
        *("challenge-id", "X-Client-Key", "Set-Cookie", "pa\u017f\u017fword", "credent\u0130al"),
        *("=", ": ", "'", '"', "@", "%40", "?", "/", ".", " ", "\n", "://", "-", "_", "\\"),
        *("ST-", "TGT-1", "st-1", "Bearer ", "BASIC ", "oauth\t", "eyJ", "a.example", "\u00e4"),
        *("x" * 42, "y", "z" * 43, "+" * 43, "Traceback (most recent call last):", "KeyError: "),
    ]
)


@settings(max_examples=500)
@given(st.lists(FRAGMENTS, max_size=8).map("".join))
def test_a_text_without_a_rules_hint_is_one_that_the_rule_leaves_alone(text: str) -> None:
    shown = text
    for rule in RULES:
        shown = rule.pattern.sub(rule.replacement, shown)
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "celery@worker-1.example.com ready.",
        "w1@vm ready.",
        "Task garmin.login[{uuid}] succeeded in 0.9085040939999s: 'succeeded'",
        "Task garmin.login[{uuid}] received",
        '127.0.0.1:56108 - "POST /api/jobs/{uuid} HTTP/1.1" 202',
        "Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)",
        "bug: ValueError at /srv/shared/secret.py:12 reveal; /srv/shared/tokens.py:3 save",
        "mingle: sync with 2 nodes",
        "Connected to redis://127.0.0.1:6379/0",
        "status_code=200 for mfa_type=email",
    ],
)
def test_what_an_operator_needs_is_shown(text: str) -> None:
    filled = text.replace("{uuid}", str(uuid.uuid4()))
    assert event(filled) == filled


# ---- Fields -----------------------------------------------------------------------------------

TELLING = [
    "password",
    "mfa_code",
    "code",
    "token",
    "access_token",
    "poll_token",
    "oauth_token_secret",
    "challenge_id",
    "mfa_challenge_id",
    "authorization",
    "Authorization",
    "Set-Cookie",
    "cookies",
    "serviceTicketId",
    "username",
    "email",
    "X-Client-Key",
    "encryption_keys",
]


@pytest.mark.parametrize("name", TELLING)
@settings(max_examples=20)
@given(secret=CANARY)
def test_a_value_under_a_telling_name_is_hidden(name: str, secret: str) -> None:
    held = {"fine": 1, name: secret}
    for said in (
        event(f"{name}={secret}"),
        event(f"held: {held}"),
        event(f"held: {json.dumps(held)}"),
        event("held: %s", held),
        event("held: %s in %r", "a list", [held]),
        event(f"%({name})s", held),
    ):
        assert "canary" not in said
    with captured_logs() as written:
        structlog.get_logger("ours").info("bound", **held, deeper=[{"also": held}])
    [found] = parsed(written.getvalue())
    assert found["fine"] == 1
    assert found[name] == "***"
    assert found["deeper"] == [{"also": {"fine": 1, name: "***"}}]


def test_a_secret_shape_is_hidden_in_every_field() -> None:
    token = new_token()

    class Held:
        def __str__(self) -> str:
            return f"held {token}"

    with captured_logs() as written:
        structlog.get_logger("ours").info("bound", text=token, many=(token, 3, None), held=Held())
    assert token not in written.getvalue()
    [found] = parsed(written.getvalue())
    assert (found["text"], found["many"], found["held"]) == ("***", ["***", 3, None], "held ***")


# ---- Exceptions -------------------------------------------------------------------------------


def test_an_exception_is_told_by_type_and_place_and_never_by_its_text() -> None:
    password = "canary-local"
    error = caught(ValueError("canary-text"), caught(KeyError("canary-cause")))
    found = line("it failed: %s (canary-text)", error, level=logging.ERROR, exc_info=error)
    assert found["event"] == "it failed: ValueError from KeyError (ValueError)"
    assert found["exception"].startswith(f"ValueError at {__file__}:")
    assert "; from KeyError at " in found["exception"]
    assert "caught" in found["exception"]
    assert "canary" not in str(found)
    assert password not in str(found)


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_way_to_log_an_exception_shows_its_text(form: str) -> None:
    error = caught(ValueError("canary-text"), caught(KeyError("canary-cause")))
    ours = structlog.get_logger("ours")
    with captured_logs(form=form) as written:
        log.error(error)
        log.error("%r %s", error, [error, {"inner": error}])
        log.error(f"formatted {error!r} and {error}", exc_info=error)  # noqa: G004
        log.error("as text\n%s", "".join(traceback.format_exception(error)))
        ours.error("ours", exc_info=error, error=error, nested={"error": error})
        ours.error("ours %s", error)
        try:
            raise error
        except ValueError:
            log.exception("caught")
            ours.exception("caught")
        log.error("with the stack", stack_info=True)
    assert "canary" not in written.getvalue()
    assert written.getvalue().count("ValueError") >= 8
    assert written.getvalue().count("Traceback") == 0


def test_a_traceback_that_arrives_as_text_keeps_its_type_and_its_frames() -> None:
    text = "".join(traceback.format_exception(caught(LookupError("canary\ncanary: more"))))
    said = event(f"startup failed\n{text}")
    assert said.startswith(f"startup failed\nLookupError at {__file__}:")
    assert said.endswith(" caught")
    assert "canary" not in said


def test_a_tasks_exception_that_nobody_fetched_is_told_without_its_text() -> None:
    async def forget() -> None:
        async def fail() -> None:
            raise ValueError("canary-text")

        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        del task

    with captured_logs() as written:
        asyncio.run(forget())
    lines = [found for found in parsed(written.getvalue()) if "exception" in found]
    assert [found["logger"] for found in lines] == ["asyncio"]
    assert "ValueError at " in lines[0]["exception"]
    assert "canary" not in written.getvalue()


def test_a_warning_is_told_by_type_and_place() -> None:
    with captured_logs() as written, warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("canary", RuntimeWarning, stacklevel=1)
    [found] = parsed(written.getvalue())
    assert found["event"].startswith(f"{__file__}:")
    assert found["event"].endswith(": RuntimeWarning")


def test_a_line_that_does_not_fit_its_arguments_is_told_without_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Broken:
        def __str__(self) -> str:
            raise LookupError("canary")

    lines: list[tuple[Any, object]] = [("%d", "canary"), ("%s %s", "canary"), ("%s", Broken())]
    for message, argument in (*lines, (Broken(), "canary")):
        said = line(message, argument)["event"]
        assert said.startswith("a line that can't be shown: ")
        assert "canary" not in said
    assert capsys.readouterr() == ("", "")


# ---- Libraries that speak to Garmin -----------------------------------------------------------


@pytest.mark.parametrize("library", sorted(SENSITIVE_LIBRARIES))
@pytest.mark.parametrize("name", ["", ".deep.inside"])
def test_a_telltale_library_is_told_to_have_spoken_and_where(library: str, name: str) -> None:
    error = caught(ValueError("canary-text"))
    logger = logging.getLogger(library + name)
    with captured_logs() as written, job_context("job-1"):
        logger.debug("canary %s", "canary")
        logger.critical("canary", exc_info=error, extra={"canary": "canary"})
        structlog.get_logger(library + name).warning("canary", anything="canary")
    assert "canary" not in written.getvalue()
    lines = parsed(written.getvalue())
    assert [found["level"] for found in lines] == ["debug", "critical", "warning"]
    for found in lines:
        assert found["logger"] == library + name
        assert found["job_id"] == "job-1"
        assert found["event"] == "message suppressed"
    for found in lines[:2]:
        assert found["at"].startswith("test_redaction.test_a_telltale_library")
    assert lines[1]["exception"].startswith("ValueError at ")


def test_a_telltale_library_is_known_by_its_file_where_it_uses_the_root_logger() -> None:
    fields = {"name": "root", "pathname": "/x/site-packages/garth/data/events.py", "levelno": 30}
    with captured_logs() as written:
        for path in (fields["pathname"], "/x/site-packages/other/events.py"):
            record = logging.makeLogRecord(fields | {"pathname": path, "msg": "canary"})
            logging.getLogger().handle(record)
    hidden, shown = parsed(written.getvalue())
    assert "canary" not in str(hidden)
    assert shown["event"] == "canary"
