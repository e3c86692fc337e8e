"""A sample app for one person: "Connect Garmin", then their last activities.

FitTrack Auth is used through its Python client alone. `make try` runs this.
"""

import os
from html import escape

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from fittrack_auth_client import FitTrackAuth, WebhookRejectedError, webhooks

ME, SEARCH = "member-1", "/activitylist-service/activities/search/activities?limit=10"
PAGE = "<!doctype html><html lang=en><title>Sample app</title><h1>Sample app</h1>{}</html>"
CONNECT = "<form action=/connect method=post><button>Connect Garmin</button></form>"
WAIT = "<meta http-equiv=refresh content=1>Fetching your activities…"
ADDRESS = os.environ["SAMPLE_APP_ADDRESS"]
auth = FitTrackAuth(os.environ["FITTRACK_SERVER"], client_key=os.environ["FITTRACK_CLIENT_KEY"])
connected: set[str] = set()


def home(request: Request) -> Response:
    if ME not in connected:
        back = request.query_params.get("status") == "connected"  # the webhook comes any moment
        return HTMLResponse(PAGE.format(WAIT if back else CONNECT))
    with httpx.Client(auth=auth.httpx_auth(ME)) as garmin:
        reply = garmin.get(auth.token(ME).api_base + SEARCH).raise_for_status()
    runs = (f"{run['startTimeLocal']}: {run['activityName']}" for run in reply.json())
    items = "".join(f"<li>{escape(run)}</li>" for run in runs)
    return HTMLResponse(PAGE.format(f"<h2>Your last activities</h2><ul>{items}</ul>{CONNECT}"))


def connect(_: Request) -> Response:
    session = auth.create_connect_session(ME, return_url=f"{ADDRESS}/")
    return RedirectResponse(session.url, status_code=303)


async def webhook(request: Request) -> Response:
    body = await request.body()
    try:
        event = webhooks.verify(request.headers, body, os.environ["SAMPLE_APP_WEBHOOK_SECRET"])
    except WebhookRejectedError:
        return Response(status_code=400)
    if event.data.user_id:
        is_well = event.data.state in {"active", "expiring"}
        (connected.add if is_well else connected.discard)(event.data.user_id)
    return Response(status_code=204)


ROUTES = [Route("/", home), Route("/connect", connect, methods=["POST"])]
app = Starlette(routes=[*ROUTES, Route("/webhook", webhook, methods=["POST"])])
