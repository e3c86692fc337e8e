"""The options that several commands have."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

E = TypeVar("E", bound=StrEnum)


def one_of(names: type[E]) -> Callable[[str], E]:
    """Return a parser of names."""

    def parse(text: str) -> E:
        try:
            return names(text)
        except ValueError:
            raise typer.BadParameter(f"must be one of {', '.join(names)}") from None

    parse.__name__ = names.__name__.lower()
    return parse


DEFAULT_SERVER = "http://127.0.0.1:8000"


class Domain(StrEnum):
    COM = "garmin.com"
    CN = "garmin.cn"


class Library(StrEnum):
    GARMINCONNECT = "garminconnect"
    GARTH = "garth"


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
DomainOfImport = Annotated[
    Domain | None,
    typer.Option(
        "--domain",
        metavar="DOMAIN",
        parser=one_of(Domain),
        help="Where the Garmin account was made, if the tokens do not say.",
    ),
]
UserIdOption = Annotated[
    str | None,
    typer.Option(
        "--user-id",
        metavar="ID",
        help="Your app's own id of the user. Needs FITTRACK_CLIENT_KEY, the app's key.",
    ),
]
LibraryOption = Annotated[
    Library | None,
    typer.Option(
        "--format",
        metavar="LIBRARY",
        parser=one_of(Library),
        help="Print the token as garminconnect or garth stores it in a file.",
    ),
]
MinValidForOption = Annotated[
    int,
    typer.Option(
        "--min-valid-for",
        min=0,
        max=3600,
        metavar="SECONDS",
        help="For how long the token has to be valid, at least.",
    ),
]
