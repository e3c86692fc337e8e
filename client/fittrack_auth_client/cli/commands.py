"""The commands: each reads its options, calls one function and reports."""

import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from fittrack_auth_client.address import Server
from fittrack_auth_client.cli import account, reports
from fittrack_auth_client.cli.errors import CancelledError, CliError
from fittrack_auth_client.cli.inputs import Inputs
from fittrack_auth_client.cli.messages import exit_code
from fittrack_auth_client.cli.options import (
    DEFAULT_SERVER,
    Domain,
    DomainOfImport,
    InsecureOption,
    JsonOption,
    LibraryOption,
    MinValidForOption,
    NewServerOption,
    ServerOption,
    ShowTokenOption,
    UserIdOption,
    one_of,
)
from fittrack_auth_client.cli.output import JsonOutput, Output, TerminalOutput
from fittrack_auth_client.cli.session_file import SessionFile
from fittrack_auth_client.cli.sign_in import Credentials
from fittrack_auth_client.cli.token_sources import find_tokens
from fittrack_auth_client.client import FitTrackAuth
from fittrack_auth_client.errors import FitTrackAuthError
from fittrack_auth_client.models import SubmittedJob
from fittrack_auth_client.operations import MIN_VALID_FOR
from fittrack_auth_client.secret import Secret

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
    context_settings={"terminal_width": min(80, shutil.get_terminal_size().columns)},
    rich_markup_mode=None,  # whose tables cut option names on a narrow terminal
)


_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def run() -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # no name is worth failing for
    app()
    return 0


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("fittrack-auth-client"))
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
        Domain,
        typer.Option(
            "--domain",
            metavar="DOMAIN",
            parser=one_of(Domain),
            help="Where the Garmin account was made: garmin.com or garmin.cn.",
        ),
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
    with (
        _output(inputs, as_json=as_json) as output,
        _new_session(server, output, insecure_http=insecure_http) as (auth, file),
    ):
        credentials = Credentials(
            username=inputs.username(username),
            password=inputs.secret(
                "password", "Garmin password (hidden): ", "give the password with --password-stdin"
            ),
            domain=domain.value,
        )
        output.show(account.log_in(auth, output, file, credentials, show_token=show_token))


@app.command("import")
def import_(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|DIRECTORY|-",
            help="Where the tokens are; - is standard input.",
            show_default=False,
        ),
    ] = None,
    server: NewServerOption = DEFAULT_SERVER,
    domain: DomainOfImport = None,
    show_token: ShowTokenOption = False,
    insecure_http: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Connect with the tokens that garth or garminconnect has stored.

    Without an argument, takes those that the libraries would find: GARTH_TOKEN, GARMINTOKENS,
    ~/.garminconnect or ~/.garth. They can't be given as an argument, where other programs could
    read them.

    Tokens of garminconnect are moved: delete them where they came from. Once one program has
    renewed them, no other one can.
    """
    inputs = Inputs(secrets_piped=True)
    with _output(inputs, as_json=as_json) as output:
        found = find_tokens(source, inputs, os.environ)
        with _new_session(server, output, insecure_http=insecure_http) as (auth, file):
            submit = partial(auth.import_tokens, found.text, domain=domain)
            report = account.import_(auth, output, file, submit, found.place, show_token=show_token)
        output.show(report)


@app.command()
def key(
    server: NewServerOption = DEFAULT_SERVER,
    domain: DomainOfImport = None,
    show_token: ShowTokenOption = False,
    insecure_http: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Connect with a Personal API key, made at Garmin Connect. It reads, and writes nothing.

    Asks for the key, hidden, or reads it from the first line of standard input.
    """
    inputs = Inputs(secrets_piped=True)
    with _output(inputs, as_json=as_json) as output:
        secret = inputs.secret("key", "Personal API key (hidden): ", "give it on standard input")
        with _new_session(server, output, insecure_http=insecure_http) as (auth, file):
            submit = partial(auth.import_personal_api_key, secret, domain=domain)
            report = account.import_(
                auth, output, file, submit, "a Personal API key", show_token=show_token
            )
        output.show(report)


@app.command()
def whoami(server: ServerOption = None, as_json: JsonOption = False) -> None:
    """Show the session's user and when it ends.

    Also shows the connection to Garmin: its library, and until when it can be refreshed.
    """
    with _output(Inputs(), as_json=as_json) as output:
        file = SessionFile.of_this_user()
        output.show(account.who_am_i(file, _server(server), output.retrying))


@app.command()
def token(
    server: ServerOption = None,
    user_id: UserIdOption = None,
    library: LibraryOption = None,
    min_valid_for: MinValidForOption = MIN_VALID_FOR,
    insecure_http: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print a fresh Garmin access token, and nothing else.

    It is a secret. --json also prints until when it is valid, and at which address.

    Without --user-id, the token is your own: you need a session. With it, the token is that of a
    user of your app: you need the app's key, and no session.
    """
    with _output(Inputs(), as_json=as_json) as output:
        if user_id is None:
            file = SessionFile.of_this_user()
            found = account.token(file, _server(server), output.retrying, min_valid_for)
        else:
            with FitTrackAuth(
                server or DEFAULT_SERVER,
                client_key=_client_key(),
                insecure_http=insecure_http,
                on_retry=output.retrying,
            ) as auth:
                found = account.member_token(auth, user_id, min_valid_for)
        output.show(reports.garmin_token(found, library))


@app.command()
def logout(
    server: ServerOption = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="End all sessions of this user.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """End the session, at the service and here.

    If the service can't be reached, the session is kept, so that this can be tried again.
    """
    with _output(Inputs(), as_json=as_json) as output:
        file = SessionFile.of_this_user()
        report = account.log_out(file, _server(server), output.retrying, everywhere=everywhere)
        output.show(report)


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
    """Show the state of a job.

    Needs the job's poll token, which is a secret: it is taken from the environment variable
    FITTRACK_POLL_TOKEN, asked for hidden at a terminal, or read from the first line of standard
    input. Never from an argument.
    """
    inputs = Inputs(secrets_piped=True)
    with (
        _output(inputs, as_json=as_json) as output,
        FitTrackAuth(server, insecure_http=insecure_http, on_retry=output.retrying) as auth,
    ):
        submitted = SubmittedJob(_job_id(job_id), _poll_token(inputs))
        report = reports.job_state(auth.job(submitted, wait=wait), job_id, show_token=show_token)
        output.show(report)
    raise typer.Exit(report.exit_code)


def _client_key() -> Secret:
    key = os.environ.get("FITTRACK_CLIENT_KEY")
    if not key:
        raise CliError("missing_input", "--user-id needs FITTRACK_CLIENT_KEY")
    return Secret(key)


@contextmanager
def _new_session(
    server: str, output: Output, *, insecure_http: bool
) -> Iterator[tuple[FitTrackAuth, SessionFile]]:
    """A client for a sign-in, and the file that can take its session."""
    with FitTrackAuth(
        server,
        client_key=os.environ.get("FITTRACK_CLIENT_KEY") or None,
        insecure_http=insecure_http,
        on_retry=output.retrying,
    ) as auth:
        file = SessionFile.of_this_user()
        file.check_writable()
        yield auth, file


def _poll_token(inputs: Inputs) -> Secret:
    token = os.environ.get("FITTRACK_POLL_TOKEN")
    if token:
        return Secret(token)
    return inputs.secret("poll token", "Poll token (hidden): ", "set FITTRACK_POLL_TOKEN")


def _job_id(text: str) -> str:
    if not _JOB_ID.fullmatch(text):
        raise CliError("bad_input", "this is no job id")
    return text


def _server(text: str | None) -> Server | None:
    return None if text is None else Server.parse(text)


@contextmanager
def _output(inputs: Inputs, *, as_json: bool) -> Iterator[Output]:
    """Print whatever goes wrong, and end with its exit code."""
    output: Output = JsonOutput(inputs) if as_json else TerminalOutput(inputs)
    try:
        try:
            yield output
        finally:
            output.close()
    except KeyboardInterrupt:
        _end(output, CancelledError())
    except FitTrackAuthError as error:
        _end(output, error)


def _end(output: Output, error: FitTrackAuthError) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # there is nothing left to cancel
    output.fail(error)
    raise typer.Exit(exit_code(error)) from None
