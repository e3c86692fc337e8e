"""What goes wrong with the service itself while it holds secrets, and what operators then do."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pydantic import SecretStr
from sqlalchemy import create_engine, text

from dev.processes import clean_environment
from shared.crypto.keyring import Keyring
from shared.crypto.secret import Sealable, Secret
from shared.jobs.queue import JobQueue
from shared.jobs.states import JobKind
from shared.jobs.store import JobStore
from shared.redis.connection import Redis
from tests.end_to_end.dumps import dump_redis
from tests.end_to_end.flows import Flows
from tests.end_to_end.recorders import EVENTS, REDIS, wait_until
from tests.end_to_end.watched import person, wrong_password


@contextmanager
def a_worker_lost(flows: Flows) -> Iterator[None]:
    """Killed while it holds a password; another has taken over when the block ends."""
    client, stack = flows.client, flows.stack
    flows.garmin.configure(latency_ms=4000)
    job = client.submit_login(person("email"))
    client.wait_for_stage(job, "contacting_garmin")
    wait_until(lambda: _are_told(flows))  # of what it has done, a worker tells twice a second
    stack.workers[-1].kill()
    flows.garmin.configure(latency_ms=0)
    stack.settings["FITTRACK_LOG_FORMAT"] = "console"  # the first one's is JSON
    stack.begin_worker().wait_ready()
    yield
    assert client.wait(job)["status"] == "mfa_required"


def _are_told(flows: Flows) -> bool:
    events = flows.recording.of(EVENTS)
    return all(job_id.encode() in events for job_id in flows.client.job_ids)


def lose_the_database(
    flows: Flows, stop: Callable[[], object], start: Callable[[], object]
) -> None:
    """Away while there are tokens to store, until the worker puts the job off."""
    client = flows.client
    username = person("email")
    asked = client.login(username)
    stop()
    job = client.submit_code(asked["mfa_challenge_id"], flows.garmin.code(username))
    client.wait_for_stage(job, "storing")
    headers = {"Authorization": f"Bearer {client.note('access token', secrets.token_hex())}"}
    assert client.http.get("/api/session", headers=headers).status_code == 503
    wait_until(lambda: b"task-retried" in flows.recording.of(EVENTS))
    with Redis.from_url(flows.stack.settings["FITTRACK_REDIS_URL"]) as redis:
        flows.recording.note(REDIS, dump_redis(redis))  # events wait there for the database
    start()
    assert client.wait(job)["status"] == "succeeded"


def meet_bugs(flows: Flows) -> None:
    """Unexpected exceptions, in worker and API, in code that has secrets at hand."""
    client, settings = flows.client, flows.stack.settings
    signed_in = flows.sign_in("plain")
    headers = {"Authorization": f"Bearer {signed_in['access_token']}"}
    _alter(settings, "ALTER TABLE user_sessions RENAME TO away")
    failed = client.login(person("plain"))
    assert failed["error"]["code"] == "internal_error", failed
    assert client.http.get("/api/session", headers=headers).status_code == 500
    assert client.http.delete("/api/session", headers=headers).status_code == 500
    _alter(settings, "ALTER TABLE away RENAME TO user_sessions")
    _send_credentials_that_are_none(flows)
    with Redis.from_url(settings["FITTRACK_REDIS_URL"]) as redis:
        job = client.submit_login(person("plain"))
        client.wait(job)
        redis.hset(f"fittrack:job:{job['job_id']}", "kind", "no such kind")
        assert client.poll(job).status_code == 200


class _NoCredentials(Sealable):
    text: Secret

    def reveal(self) -> bytes:
        return self.text.get_secret_value().encode()


def _send_credentials_that_are_none(flows: Flows) -> None:
    """Sealed as they should be, but in another form: a bug, or another version of ours."""
    client, settings = flows.client, flows.stack.settings
    username, password = client.note("username", person("plain")), wrong_password()
    client.note("password", password)
    keyring = Keyring.parse(settings["FITTRACK_ENCRYPTION_KEYS"])
    text = f'{{"username": ["{username}"], "password": {{"{password}": 1}}}}'
    job_id = JobStore.new_id()
    with Redis.from_url(settings["FITTRACK_REDIS_URL"]) as redis:
        none = _NoCredentials(text=SecretStr(text))
        job = JobStore(redis, keyring, 900).create(job_id, JobKind.LOGIN, none)
    JobQueue(settings["FITTRACK_REDIS_URL"], 5).put(JobKind.LOGIN, job_id)
    poll_token = client.note("poll token", job.poll_token.get_secret_value())
    asked = {"status_url": f"/api/jobs/{job_id}", "poll_token": poll_token}
    assert client.wait(asked)["error"]["code"] == "internal_error"


def _alter(settings: dict[str, str], statement: str) -> None:
    engine = create_engine(settings["FITTRACK_DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def rotate_keys(flows: Flows) -> None:
    """The second key first, and what was sealed with the first sealed with it."""
    settings = flows.stack.settings
    first, second = settings["FITTRACK_ENCRYPTION_KEYS"].split(",")
    keys = {"FITTRACK_ENCRYPTION_KEYS": f"{second},{first}"}
    environment = clean_environment(settings | keys)
    assert "0 left" in flows.run(["fittrack-auth-admin", "keys", "rotate"], environment)
    assert "can be dropped" in flows.run(["fittrack-auth-admin", "keys", "check"], environment)
