"""The least an endpoint for tokens can be: Starlette, one row by SQLAlchemy, one seal opened.

Not a module of `dev`: only `api` may import Starlette. Run it as the API is run:
`uvicorn --app-dir dev/bench/bare token-endpoint:app`, with `BARE_DATABASE_URL`, `BARE_KEYS` and
`BARE_TOKEN_ID`.
"""

import json
import os

from sqlalchemy import create_engine, text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.crypto.keyring import Keyring, Purpose

engine = create_engine(os.environ["BARE_DATABASE_URL"], pool_size=16, max_overflow=32)
keyring = Keyring.parse(os.environ["BARE_KEYS"])
query = text("SELECT ciphertext FROM garmin_tokens WHERE id = :id")
token_id = os.environ["BARE_TOKEN_ID"]


def token(_: Request) -> Response:
    with engine.connect() as connection:
        sealed = connection.execute(query, {"id": token_id}).scalar_one()
    tokens = json.loads(keyring.open(sealed, Purpose.GARMIN_TOKENS, token_id))
    return JSONResponse({"access_token": json.loads(tokens["data"])["di_token"]})


app = Starlette(routes=[Route("/token", token, methods=["POST"])])
