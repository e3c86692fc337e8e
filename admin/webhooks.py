"""`webhooks add`, `list`, `rotate`, `test`, `deliveries`, `resend`…: where apps receive webhooks.

Only the operator names endpoints. docs/webhooks.md says what arrives there.
"""

import json
import sys
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from admin.parameters import delivery_id, one_of
from admin.service import Service, open_service
from shared.accounts.clients import ClientRepository
from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.origin import Origin
from shared.webhooks.addresses import check, parse_url, resolve
from shared.webhooks.endpoints import EndpointRepository, EndpointView
from shared.webhooks.errors import WebhookDisabledError
from shared.webhooks.history import DeliveryHistory, DeliveryView
from shared.webhooks.outbox import WebhookOutbox
from shared.webhooks.results import Status

_TEST_PATIENCE = 25.0
_TEST_PAUSE = 0.2

app = typer.Typer(
    help="Manage the endpoints at which apps receive webhooks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

App = Annotated[str, typer.Argument(metavar="APP", help="The app's name.")]
Endpoint = Annotated[
    str,
    typer.Argument(
        metavar="ENDPOINT", help="Its id, or the name of an app that has only this one."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


@app.command()
def add(
    name: App,
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="https://…; http:// only to a private address."),
    ],
) -> None:
    """Add an endpoint and print its secret.

    The secret can't be shown again. With it, the app verifies what arrives.
    """
    _check_url(url)

    def work(session: Session, service: Service) -> tuple[EndpointView, str]:
        client = ClientRepository(session).lock_for_removal(name)
        added = EndpointRepository(session, service.keyring).add(client.client_id, url)
        _record(session, EventKind.WEBHOOK_ADDED, added[0])
        return added

    with open_service() as service:
        endpoint, secret = service.database.run(lambda session: work(session, service))
    print(f"endpoint {endpoint.id}", file=sys.stderr)
    _print_secret(secret)


@app.command("list")
def list_endpoints(
    name: Annotated[str | None, typer.Argument(metavar="APP", help="Only this app's.")] = None,
) -> None:
    """List all endpoints, by app."""
    with open_service() as service:
        endpoints = service.database.run(
            lambda session: EndpointRepository(session, service.keyring).all(_app(session, name))
        )
    for endpoint in endpoints:
        state = "enabled"
        if endpoint.disabled_at:
            state = f"disabled {_time(endpoint.disabled_at)} ({endpoint.disabled_reason})"
        print(f"{endpoint.id}\t{endpoint.client}\t{endpoint.url}\t{state}")


@app.command()
def remove(endpoint: Endpoint) -> None:
    """Remove an endpoint, its secret and its deliveries, also those not yet made."""
    _change(endpoint, EventKind.WEBHOOK_REMOVED, EndpointRepository.remove)
    print(f"{endpoint} removed")


@app.command()
def enable(endpoint: Endpoint) -> None:
    """Deliver again to an endpoint that has answered 410.

    What happens while it is disabled is never delivered; `resend` repeats what was given up.
    """
    _change(endpoint, EventKind.WEBHOOK_ENABLED, EndpointRepository.enable)
    print(f"{endpoint} enabled")


@app.command()
def rotate(
    endpoint: Endpoint,
    hours: Annotated[
        int,
        typer.Option(
            min=0,
            max=720,
            metavar="N",
            help="How long the old one still signs; 0: it ends at once.",
        ),
    ] = 24,
) -> None:
    """Replace an endpoint's secret and print the new one."""
    overlap = timedelta(hours=hours)
    secret = _change(
        endpoint,
        EventKind.WEBHOOK_ROTATED,
        lambda endpoints, endpoint_id: endpoints.rotate(endpoint_id, overlap),
    )
    _print_secret(secret)


@app.command()
def test(endpoint: Endpoint) -> None:
    """Have a worker deliver a test event, once, and show the answer."""
    with open_service() as service:

        def write(session: Session) -> uuid.UUID:
            found = EndpointRepository(session, service.keyring).find(endpoint)
            if found.disabled_at:
                raise WebhookDisabledError
            return WebhookOutbox(session).test(found.id)

        written = service.database.run(write)
        ends_at = time.monotonic() + _TEST_PATIENCE
        status, answer = Status.PENDING, None
        while status is Status.PENDING and time.monotonic() < ends_at:
            time.sleep(_TEST_PAUSE)
            status, answer = service.database.run(
                lambda session: DeliveryHistory(session).status(written)
            )
    if status is Status.DELIVERED:
        print(f"delivered: {answer}")
        return
    reason = answer or "no worker has taken it, or the receiver has asked for a pause"
    print(f"fittrack-auth-admin: not delivered: {reason}", file=sys.stderr)
    raise typer.Exit(1)


@app.command()
def deliveries(
    name: Annotated[str | None, typer.Argument(metavar="APP", help="Only this app's.")] = None,
    status: Annotated[
        Status | None,
        typer.Option(
            metavar="STATUS", parser=one_of(Status), help=f"Only these: {', '.join(Status)}."
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, metavar="N", help="Show the newest N.")
    ] = 50,
    as_json: AsJson = False,
) -> None:
    """Show deliveries of the last 30 days, newest last."""
    with open_service() as service:
        newest = service.database.run(
            lambda session: DeliveryHistory(session).newest(
                limit, client=_app(session, name), status=status
            )
        )
    for delivery in reversed(newest):
        print(_json(delivery) if as_json else _line(delivery))


@app.command()
def resend(
    delivery_ids: Annotated[
        list[uuid.UUID] | None,
        typer.Argument(
            metavar="DELIVERY...", parser=delivery_id, help="Ids: see `webhooks deliveries`."
        ),
    ] = None,
    given_up: Annotated[
        str | None,
        typer.Option(metavar="APP", help="Everything that was given up for this app."),
    ] = None,
) -> None:
    """Deliver again, with all tries and the same webhook-id."""
    if not delivery_ids and given_up is None:
        raise typer.BadParameter("name deliveries, or --given-up APP")

    def work(session: Session) -> int:
        history, count = DeliveryHistory(session), 0
        for each in delivery_ids or ():
            history.resend(each)
            count += 1
        if given_up is not None:
            client = ClientRepository(session).lock_for_removal(given_up)
            count += history.resend_given_up(client.client_id)
        return count

    with open_service() as service:
        count = service.database.run(work)
    print(f"{count} to be delivered again")


def _change[T](
    endpoint: str, kind: EventKind, change: Callable[[EndpointRepository, uuid.UUID], T]
) -> T:
    with open_service() as service:

        def work(session: Session) -> T:
            endpoints = EndpointRepository(session, service.keyring)
            found = endpoints.find(endpoint)
            _record(session, kind, found)
            return change(endpoints, found.id)

        return service.database.run(work)


def _app(session: Session, name: str | None) -> str | None:
    """Return the name, if there is such an app. Raises UnknownClientError."""
    return None if name is None else ClientRepository(session).named(name).name


def _check_url(url: str) -> None:
    """Raise InvalidWebhookUrlError and AddressRefusedError, as far as it can be told from here."""
    parts = parse_url(url)
    try:
        addresses = resolve(parts)
    except OSError:
        note = "the host is not known here now; its address is checked with each delivery"
        print(f"fittrack-auth-admin: {note}", file=sys.stderr)
    else:
        check(parts, addresses)


def _print_secret(secret: str) -> None:
    print(secret)
    print("Keep this secret now: it can't be shown again.", file=sys.stderr)


def _record(session: Session, kind: EventKind, endpoint: EndpointView) -> None:
    origin = Origin(client_id=endpoint.client_id)
    EventLog(session).append(Event.of(kind, origin, str(endpoint.id)))


def _line(delivery: DeliveryView) -> str:
    event, answer = delivery.event, delivery.answer or "no answer yet"
    tries = f"{delivery.attempts} {'try' if delivery.attempts == 1 else 'tries'}"
    parts = [
        _time(event.at),
        str(event.id),
        delivery.client,
        event.type,
        event.client_user_id or "-",
        f"{delivery.status} after {tries}: {answer}",
    ]
    if delivery.next_try_at:
        parts.append(f"next try {_time(delivery.next_try_at)}")
    return "\t".join(parts)


def _json(delivery: DeliveryView) -> str:
    event = delivery.event
    return json.dumps(
        {
            "id": str(event.id),
            "webhook_id": event.message_id,
            "endpoint": str(delivery.endpoint_id),
            "app": delivery.client,
            "at": _time(event.at),
            "type": event.type,
            "user_id": event.client_user_id,
            "status": delivery.status,
            "attempts": delivery.attempts,
            "answer": delivery.answer,
            "tried_at": delivery.tried_at and _time(delivery.tried_at),
            "next_try_at": delivery.next_try_at and _time(delivery.next_try_at),
        }
    )


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
