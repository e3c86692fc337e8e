"""The HTTP API: `python -m api`, with the options of `uvicorn`."""

from api.command import run

run("api.main:app")
