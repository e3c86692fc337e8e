from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import pytest

from fittrack_auth_client import (
    FitTrackAuthError,
    RateLimitedError,
    ServiceUnavailableError,
)
from fittrack_auth_client.cli.errors import CliCode
from fittrack_auth_client.cli.messages import (
    TABLE,
    ExitCode,
    exit_code,
    explain,
    local_time,
    printable,
    span,
    stage_text,
)
from fittrack_auth_client.retries import parse_retry_after
from tests.client.cli.program import Program

BY_EXIT_CODE = {
    ExitCode.REFUSED: (
        "invalid_credentials mfa_code_invalid mfa_attempts_exhausted account_locked"
        " captcha_required garmin_action_required garmin_rate_limited garmin_unavailable"
        " garmin_unreachable interrupted timed_out tokens_rejected"
        " unauthorized job_not_found challenge_not_found sign_in_required link_not_found"
        " scope_missing"
    ),
    ExitCode.USAGE: "invalid_request payload_too_large",
    ExitCode.SERVICE: (
        "unsupported_media_type challenge_busy sign_in_in_progress rate_limited"
        " service_unavailable internal_error"
    ),
}

NOT_SEEN = {"idempotency_key_reused", "webhook_rejected"}
"""Codes that no command can get."""


def test_every_code_of_the_contract_has_its_exit_code() -> None:
    for expected, codes in BY_EXIT_CODE.items():
        for code in codes.split():
            assert exit_code(FitTrackAuthError(code=code)) == expected, code


def test_every_code_has_a_message_of_its_own() -> None:
    assert set(TABLE) >= {*get_args(CliCode), *_default_codes(FitTrackAuthError)} - NOT_SEEN
    assert len({advice.text for advice in TABLE.values()}) == len(TABLE)


def _default_codes(kind: type[FitTrackAuthError]) -> set[str]:
    codes = {kind.default_code} if kind.default_code else set()
    return codes.union(*map(_default_codes, kind.__subclasses__()))


def test_every_code_is_in_the_documentation() -> None:
    page = Path(__file__).parents[3].joinpath("docs", "cli.md").read_text()
    for code in TABLE:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{code}` |"))
        assert row.split("|")[2].strip() == str(int(TABLE[code].exit_code)), code


def test_an_unknown_code_is_not_a_success() -> None:
    assert exit_code(FitTrackAuthError(code="brand_new")) == ExitCode.SERVICE
    assert "brand_new" in explain(FitTrackAuthError(code="brand_new"))


@pytest.mark.parametrize(
    "error",
    [
        FitTrackAuthError("Garmin sends no new code: wait.", code="garmin_rate_limited"),
        RateLimitedError("Too many sign-ins of this account have failed.", status=429),
        ServiceUnavailableError("Garmin refuses.", status=503, unavailable=("garmin",)),
    ],
)
def test_the_service_says_itself_what_is_limited(error: FitTrackAuthError) -> None:
    assert explain(error) == error.message


def test_the_service_does_not_say_later_where_it_says_when() -> None:
    error = RateLimitedError("Garmin refuses: try again later.", status=429, retry_after=900)
    assert explain(error) == "Garmin refuses. Try again in 15 minutes."


def test_what_else_does_not_answer_is_the_operators_affair() -> None:
    error = ServiceUnavailableError("Something.", status=503, unavailable=("redis",))
    assert explain(error).startswith("The service is up but can't work just now.")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1, "1 second"),
        (90, "90 seconds"),
        (120, "2 minutes"),
        (121, "3 minutes"),
        (7200, "2 hours"),
    ],
)
def test_a_wait_is_never_said_to_be_shorter_than_it_is(seconds: int, said: str) -> None:
    assert span(seconds) == said


def test_a_stage_it_does_not_know_is_still_readable() -> None:
    assert stage_text("counting_\x1bsheep") == "Counting \ufffdsheep"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("5", 5),
        (" 5 ", 5),
        ("0", 0),
        ("-1", None),
        ("soon", None),
        ("\u0665", None),
        ("9" * 50, 999_999_999),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999999999999999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: int | None) -> None:
    assert parse_retry_after(header) == seconds


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_that_has_no_local_one_is_shown_as_it_came(moment: str) -> None:
    assert local_time(datetime.fromisoformat(moment)) == moment


def test_text_from_elsewhere_is_shortened() -> None:
    assert len(printable("x" * 10_000)) == 300


def test_help_names_every_command_and_the_version_is_the_package_s(program: Program) -> None:
    told = program.run("--help")

    assert told.exit_code == 0
    for command in ("login", "whoami", "token", "logout", "status"):
        assert command in told.out
        assert program.run(command, "--help").exit_code == 0
    assert program.run("--version").out == f"{version('fittrack-auth')}\n"
    assert program.run("fly").exit_code == 2
