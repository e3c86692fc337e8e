"""`python -m api` with short timings."""

from api.command import run

run("dev.short.api:app")
