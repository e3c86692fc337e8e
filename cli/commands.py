"""The commands: each reads its options, calls one function and reports."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer
from pydantic import SecretStr

from cli import account
from cli.account import JobAsked
from cli.address import DEFAULT_SERVER, Server, parse_server, safe_for_secrets
from cli.codes import Code
from cli.inputs import Inputs
from cli.json_lines import JsonScreen
from cli.messages import exit_code
from cli.screen import Screen
from cli.service import Credentials, Service
from cli.session_file import SessionFile
from cli.terminal import TerminalScreen
from cli.trouble import Cancelled, Trouble

app = typer.Typer(
    name="fittrack-auth",
    help="Link a Garmin account through a FitTrack Auth service.",
    epilog=(
        "Exit codes: 0 done, 1 refused (by Garmin, or not signed in), 2 wrong usage, "
        "3 service unreachable or limiting, 130 cancelled."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


class Domain(StrEnum):
    COM = "garmin.com"
    CN = "garmin.cn"


ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server", envvar="FITTRACK_SERVER", metavar="URL", help="Address of the service."
    ),
]
NewServerOption = Annotated[
    str,
    typer.Option(
        "--server", envvar="FITTRACK_SERVER", metavar="URL", help="Address of the service."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Answer in JSON, one object for each line, for programs.")
]
InsecureOption = Annotated[
    bool,
    typer.Option("--insecure-http", help="Allow secrets over plain http:// to another machine."),
]
ShowTokenOption = Annotated[
    bool, typer.Option("--show-token", help="Also print the secrets that were received.")
]
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def run() -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # no name is worth failing for
    app()
    return 0


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("fittrack-auth"))
        raise typer.Exit


@app.callback()
def fittrack_auth(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Link a Garmin account through a FitTrack Auth service."""


@app.command()
def login(
    server: NewServerOption = DEFAULT_SERVER,
    username: Annotated[
        str | None,
        typer.Option("--username", "-u", metavar="NAME", help="Who signs in to Garmin."),
    ] = None,
    domain: Annotated[
        Domain, typer.Option("--domain", help="Where the Garmin account was made.")
    ] = Domain.COM,
    password_stdin: Annotated[
        bool,
        typer.Option("--password-stdin", help="Take the password from the first line of stdin."),
    ] = False,
    code_stdin: Annotated[
        bool, typer.Option("--code-stdin", help="Take codes from the next lines of stdin.")
    ] = False,
    show_token: ShowTokenOption = False,
    insecure_http: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Sign in to Garmin and keep the session.

    Asks for what is missing. The password can't be given as an argument, where other programs
    could read it: it is asked for hidden, or read from standard input (--password-stdin).

    If Garmin asks for a one-time code, says where it was sent and asks for it, as often as the
    service allows. Ctrl-C leaves nothing half-done.

    Where the service takes sign-ins from known apps alone, the app's key is taken from the
    environment variable FITTRACK_CLIENT_KEY.

    With --json and no terminal, standard input holds the password and then one line for each code
    that is asked for.
    """
    inputs = Inputs(secrets_piped=password_stdin or as_json, codes_piped=code_stdin or as_json)
    with _heard(inputs, as_json=as_json) as screen:
        at = safe_for_secrets(parse_server(server), insecure_http=insecure_http)
        file = SessionFile.of_this_user()
        file.check_writable()
        credentials = Credentials(
            username=inputs.username(username),
            password=inputs.secret(
                "password", "Garmin password (hidden): ", "give the password with --password-stdin"
            ),
            domain=domain.value,
        )
        with Service(at, _client_key()) as service:
            report = account.log_in(service, screen, file, credentials, show_token=show_token)
        screen.show(report)


@app.command()
def whoami(server: ServerOption = None, as_json: JsonOption = False) -> None:
    """Show whose session this is, and how long it and the link to Garmin last."""
    with _heard(Inputs(), as_json=as_json) as screen:
        screen.show(account.who_am_i(screen, SessionFile.of_this_user(), _server(server)))


@app.command()
def logout(
    server: ServerOption = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Close all sessions of this user.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Close the session, at the service and here.

    If the service can't be reached, the session is kept, so that this can be tried again.
    """
    with _heard(Inputs(), as_json=as_json) as screen:
        file = SessionFile.of_this_user()
        screen.show(account.log_out(screen, file, _server(server), everywhere=everywhere))


@app.command()
def status(
    job_id: Annotated[
        str, typer.Argument(metavar="JOB_ID", help="The job's id.", show_default=False)
    ],
    server: NewServerOption = DEFAULT_SERVER,
    wait: Annotated[
        int,
        typer.Option("--wait", min=0, max=30, metavar="SECONDS", help="Wait that long for news."),
    ] = 0,
    show_token: ShowTokenOption = False,
    insecure_http: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show how a job is doing.

    Needs the job's poll token, which is a secret: it is taken from the environment variable
    FITTRACK_POLL_TOKEN, asked for hidden at a terminal, or read from the first line of standard
    input. Never from an argument.
    """
    inputs = Inputs(secrets_piped=True)
    with _heard(inputs, as_json=as_json) as screen:
        at = safe_for_secrets(parse_server(server), insecure_http=insecure_http)
        job = JobAsked(_job_id(job_id), _poll_token(inputs), wait)
        report = account.job_state(screen, at, job, show_token=show_token)
        screen.show(report)
    raise typer.Exit(report.exit_code)


def _poll_token(inputs: Inputs) -> SecretStr:
    given = os.environ.get("FITTRACK_POLL_TOKEN")
    if given:
        return SecretStr(given)
    return inputs.secret("poll token", "Poll token (hidden): ", "set FITTRACK_POLL_TOKEN")


def _client_key() -> SecretStr | None:
    given = os.environ.get("FITTRACK_CLIENT_KEY")
    return SecretStr(given) if given else None


def _job_id(text: str) -> str:
    if not _JOB_ID.fullmatch(text):
        raise Trouble(Code.BAD_INPUT, detail="this is no job id")
    return text


def _server(text: str | None) -> Server | None:
    return None if text is None else parse_server(text)


@contextmanager
def _heard(inputs: Inputs, *, as_json: bool) -> Iterator[Screen]:
    """Tells whatever goes wrong, and ends with its exit code."""
    screen: Screen = JsonScreen(inputs) if as_json else TerminalScreen(inputs)
    try:
        try:
            yield screen
        finally:
            screen.close()
    except KeyboardInterrupt:
        _end(screen, Cancelled())
    except Trouble as trouble:
        _end(screen, trouble)


def _end(screen: Screen, trouble: Trouble) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # there is nothing left to cancel
    screen.fail(trouble)
    raise typer.Exit(exit_code(trouble)) from None
