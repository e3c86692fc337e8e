"""The least a status endpoint can be: Starlette, and one key of Redis.

Not a module of `dev`: only `api` may import Starlette. Run it as the API is run:
`uvicorn --app-dir dev/bench/bare status-endpoint:app`, with `BARE_REDIS_URL` and `BARE_KEY`.
"""

import os

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

redis = Redis.from_url(os.environ["BARE_REDIS_URL"])


async def status(_: Request) -> Response:
    return Response(await redis.get(os.environ["BARE_KEY"]), media_type="application/json")


app = Starlette(routes=[Route("/status", status)])
