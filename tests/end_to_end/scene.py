"""One run of everything, recorded: the stack as talkative as it can be, and recorders around it."""

from base64 import b64decode
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import create_engine, text

from dev.servers import PostgresServer, RedisServer
from dev.simulator import Simulator
from dev.stack import LIMITS_OFF, Stack, new_key
from shared.garmin.types import Credentials, GarminDomain
from tests.end_to_end import apps, brought, mishaps, on_the_page
from tests.end_to_end import recorders as at
from tests.end_to_end.detector import Canary
from tests.end_to_end.dumps import dump_database, dump_redis
from tests.end_to_end.flows import Flows, at_once
from tests.end_to_end.plants import plant
from tests.end_to_end.watched import WatchedClient
from tests.end_to_end.wrong_requests import ask_wrongly
from tests.programs import PROGRAMS

_LOUD = {"UVICORN_LOG_LEVEL": "trace", "FITTRACK_LOG_LEVEL": "DEBUG"}
"""With these, API and workers log everything they can."""

_LIMITS = LIMITS_OFF | {
    "FITTRACK_LIMIT_LOGIN_PER_ACCOUNT": "3/hour",
    "FITTRACK_LIMIT_CODE_PER_CHALLENGE": "4/hour",
}
"""Two that stop nobody but who means to meet them."""


@dataclass(frozen=True)
class Evidence:
    """What is left of the run, and every secret that occurred in it.

    `planted` are secrets that were leaked on purpose, by the name of the leak.
    """

    recording: at.Recording
    canaries: frozenset[Canary]
    planted: Mapping[str, Canary]
    job_ids: frozenset[str]
    session_ids: frozenset[str]


def play(folder: Path) -> Evidence:
    """Runs everything; the recorders listen from before the service starts until it has ended."""
    recording = at.Recording()
    with (
        Simulator(code_alphabet="BCDFGHJKLMNPQRSTVWXYZ", code_length=10) as garmin,
        RedisServer(folder) as redis,
        PostgresServer(folder) as postgres,
        ExitStack() as exit,
    ):
        assert isinstance(redis, RedisServer)
        assert isinstance(postgres, PostgresServer)
        settings = {
            "FITTRACK_REDIS_URL": redis.url,
            "FITTRACK_DATABASE_URL": postgres.url,
            "FITTRACK_ENCRYPTION_KEYS": f"{new_key('first')},{new_key('second')}",
            **_LOUD,
            **_LIMITS,
        }
        log_every_statement(postgres.url)
        exit.enter_context(at.RedisTraffic(redis.url, recording))
        exit.enter_context(at.CeleryEvents(redis.url, recording))
        flower = exit.enter_context(at.Flower(folder, redis.url, recording))
        with Stack(folder, settings, garmin.environment, programs=PROGRAMS) as stack:
            client = WatchedClient(stack.start().url, recording)
            exit.callback(client.close)
            flows = Flows(stack, client, garmin, recording)
            exit.callback(flows.close)

            at_once(
                flows.through_garth,
                lambda: apps.come_and_go(flows),
                lambda: brought.come_along(flows),
                lambda: on_the_page.connect(flows),
            )
            snapshot(stack, recording)
            mishaps.meet_bugs(flows)
            with mishaps.a_worker_lost(flows):
                mishaps.lose_the_database(
                    flows,
                    postgres.stop,
                    lambda: exit.enter_context(PostgresServer(folder, postgres.port)),
                )
                flows.on_the_command_line()
            flows.through_garminconnect()
            apps.use_tokens(flows)
            signed_in = flows.sign_in("plain")
            job = client.submit_login("plain-canary@example.com")
            ask_wrongly(client, signed_in, job, flows.new_client_key("add", "third"))
            snapshot(stack, recording)
            mishaps.rotate_keys(flows)
            canaries = client.canaries | issued(garmin) | sealing_keys(settings)
            canaries |= accounts(client.canaries)

            planted = plant(flows, flower)
            snapshot(stack, recording)
            flower.read([*client.job_ids, planted["a task's argument"].value.decode()])
    at.read_logs(folder, recording)
    return Evidence(
        recording,
        frozenset(canaries),
        planted,
        frozenset(client.job_ids),
        frozenset(client.session_ids),
    )


def snapshot(stack: Stack, recording: at.Recording) -> None:
    """What Redis, the database and /metrics hold at this moment."""
    with Redis.from_url(stack.settings["FITTRACK_REDIS_URL"]) as redis:
        recording.note(at.REDIS, dump_redis(redis))
    recording.note(at.DATABASE, dump_database(stack.settings["FITTRACK_DATABASE_URL"]))
    reply = httpx.get(f"{stack.url}/metrics", trust_env=False, timeout=30)
    recording.note(at.METRICS, reply.raise_for_status().content)


def log_every_statement(database_url: str) -> None:
    """PostgreSQL's log then holds all that it is asked, and every value."""
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("ALTER SYSTEM SET log_statement = 'all'"))
        connection.execute(text("ALTER SYSTEM SET log_parameter_max_length_on_error = -1"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()


def issued(garmin: Simulator) -> set[Canary]:
    return {Canary.of(kind, value) for kind, values in garmin.issued().items() for value in values}


def accounts(canaries: set[Canary]) -> set[Canary]:
    """What is hashed in place of a name. Without the key, whoever has the hash could try names."""
    names = [canary.value.decode() for canary in canaries if canary.kind == "username"]
    accounts = [
        Credentials(username=SecretStr(name), password=SecretStr(""), domain=domain).account
        for name in names
        for domain in GarminDomain
    ]
    folded = [account.partition(":")[2] for account in accounts]
    return {Canary.of("username", name) for name in (*accounts, *folded)}


def sealing_keys(settings: Mapping[str, str]) -> set[Canary]:
    """As they are set, and their bytes."""
    texts = [e.partition(":")[2] for e in settings["FITTRACK_ENCRYPTION_KEYS"].split(",")]
    forms = [form for encoded in texts for form in (encoded.encode(), b64decode(encoded))]
    return {Canary("sealing key", form) for form in forms}
