"""A crowd signs in at once while workers are killed at random.

`KILLS_SEED=<the seed of a run that failed>` chooses the same victims and pauses again.
"""

import json
import os
import random
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session

from dev.simulator import Simulator
from dev.stack import Stack
from shared.accounts.tokens import TokenRepository
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import GarminToken, User, UserSession
from shared.garmin.types import GarminTokens
from tests.dev.wire import wire
from tests.end_to_end.client import Client, Json
from tests.programs import FULL, PROGRAMS

PEOPLE = 500 if FULL else 150
KILLS = 10 if FULL else 3
LATENCY_MS = 1000 if FULL else 400
MOST_RUNS = 2
"""How often a job talks to Garmin at the most: once, and once more if its worker was lost."""

MOST_SIGN_INS = 6
PATIENCE = 300.0
AT_WORK = 12
"""Jobs that must be held by workers before one is killed: it takes some of them with it."""

KINDS = ("plain", "email", "sms", "app")

pytestmark = [pytest.mark.timeout(900), pytest.mark.long]


@dataclass
class Person:
    """Signs in, again where the service says that a worker was lost, until it went through."""

    username: str
    mistypes: bool
    logins: list[Json] = field(default_factory=list)
    codes: list[Json] = field(default_factory=list)
    interrupted_codes: int = 0
    signed_in: Json = field(default_factory=dict)

    @property
    def gets_codes(self) -> bool:
        return not self.username.startswith("plain")

    def sign_in(self, client: Client, garmin: Simulator) -> None:
        for _ in range(MOST_SIGN_INS):
            outcome = self._login(client, garmin)
            if outcome["status"] == "succeeded":
                self.signed_in = outcome
                return
            assert outcome["error"]["code"] == "interrupted", (self.username, outcome)
        raise AssertionError(self.username)

    def _login(self, client: Client, garmin: Simulator) -> Json:
        self.logins.append(client.submit_login(self.username))
        asked = client.wait(self.logins[-1])
        if asked["status"] != "mfa_required":
            return asked
        right = garmin.code(self.username)
        if self.mistypes:
            self.mistypes = False
            outcome = self._code(client, asked, "000000" if right != "000000" else "111111")
            if outcome["error"]["code"] != "mfa_code_invalid":
                return outcome
        return self._code(client, asked, right)

    def _code(self, client: Client, asked: Json, code: str) -> Json:
        self.codes.append(client.submit_code(asked["mfa_challenge_id"], code))
        outcome = client.wait(self.codes[-1])
        if outcome.get("error", {}).get("code") == "interrupted":
            self.interrupted_codes += 1
        return outcome


@dataclass(frozen=True)
class Afterwards:
    """What is left when everybody is signed in. `runs`: how many workers held each job."""

    people: list[Person]
    counters: dict[str, dict[str, int]]
    runs: dict[str, int]
    kills: int

    def count(self, person: Person, name: str) -> int:
        return self.counters[person.username][name]

    def most(self, jobs: list[Json]) -> int:
        """How often Garmin may have been asked for these jobs."""
        return sum(min(self.runs[job["job_id"]], MOST_RUNS) for job in jobs)


def crowd(chance: random.Random) -> list[Person]:
    """As many of each kind; every third who gets a code mistypes it at first."""
    kinds = [KINDS[number % len(KINDS)] for number in range(PEOPLE)]
    people = [Person(f"{kind}-crowd-{n}@example.com", False) for n, kind in enumerate(kinds)]
    with_codes = [person for person in people if person.gets_codes]
    for person in chance.sample(with_codes, len(with_codes) // 3):
        person.mistypes = True
    chance.shuffle(people)
    return people


class Killer(threading.Thread):
    """Kills a random worker while it is at work and starts another, a number of times."""

    def __init__(self, stack: Stack, redis: Redis, chance: random.Random) -> None:
        super().__init__(name="killer")
        self._stack = stack
        self._redis = redis
        self._chance = chance
        self._over = threading.Event()
        self.kills = 0

    def run(self) -> None:
        while self.kills < KILLS and self._wait_for_work():
            self._over.wait(self._chance.uniform(0, 3))
            self._chance.choice([w for w in self._stack.workers if w.running]).kill()
            self.kills += 1
            self._stack.begin_worker().wait_ready()

    def stop(self) -> None:
        self._over.set()
        self.join()

    def _wait_for_work(self) -> bool:
        """False if everybody is signed in already."""
        while not self._over.wait(0.1):
            held = sum(1 for _ in self._redis.scan_iter("fittrack:job:*:lease", count=1000))
            if held >= AT_WORK:
                return True
        return False


@pytest.fixture
def crowded(own_settings: dict[str, str], garmin: Simulator, tmp_path: Path) -> Iterator[Stack]:
    with Stack(
        tmp_path, own_settings, garmin.environment, programs=PROGRAMS, migrated=True
    ) as stack:
        yield stack.start(workers=2)


def test_a_crowd_of_sign_ins_outlives_workers_that_are_killed_at_random(
    crowded: Stack, garmin: Simulator
) -> None:
    seed = int(os.environ.get("KILLS_SEED") or random.randrange(1_000_000))  # noqa: S311
    print(f"KILLS_SEED={seed}")
    afterwards = let_loose(crowded, garmin, random.Random(seed))  # noqa: S311

    check_sessions(crowded, garmin, afterwards.people)
    check_database(crowded, garmin, afterwards.people)
    check_counters(afterwards)


def let_loose(stack: Stack, garmin: Simulator, chance: random.Random) -> Afterwards:
    people = crowd(chance)
    garmin.configure(latency_ms=LATENCY_MS)
    client = Client(stack.url, PATIENCE)
    with Redis.from_url(stack.settings["FITTRACK_REDIS_URL"]) as redis:
        killer = Killer(stack, redis, chance)
        with ThreadPoolExecutor(PEOPLE) as pool:
            killer.start()
            try:
                for begun in [pool.submit(person.sign_in, client, garmin) for person in people]:
                    begun.result()
            finally:
                killer.stop()
        jobs = [job["job_id"] for person in people for job in (*person.logins, *person.codes)]
        runs = {job_id: int(redis.hget(f"fittrack:job:{job_id}", "runs") or 0) for job_id in jobs}
    client.close()
    garmin.configure(latency_ms=0)
    return Afterwards(people, garmin.counters()["by_username"], runs, killer.kills)


def check_sessions(stack: Stack, garmin: Simulator, people: list[Person]) -> None:
    """Everybody's session is theirs."""
    client = Client(stack.url)
    for person in people:
        session = client.session(person.signed_in)
        profile = garmin.account(person.username)["profile"]
        assert session["user"]["display_name"] == profile["fullName"]
        assert session["user"] == person.signed_in["user"]
        assert session["session_id"] == person.signed_in["session_id"]
        assert session["garmin"]["linked"] is True
    client.close()


def check_database(stack: Stack, garmin: Simulator, people: list[Person]) -> None:
    """One user, one row of tokens and one session for everybody, and the tokens are theirs."""
    database = Database(stack.settings["FITTRACK_DATABASE_URL"])
    keyring = Keyring.parse(stack.settings["FITTRACK_ENCRYPTION_KEYS"])
    users = database.run(lambda session: list(session.scalars(select(User))))
    token_rows = database.run(lambda session: list(session.scalars(select(GarminToken.user_id))))
    sessions = database.run(lambda session: list(session.scalars(select(UserSession))))

    guids = {person.username: guid_of(garmin, person) for person in people}
    owners = {user.id: user.garmin_guid for user in users}
    assert sorted(owners.values()) == sorted(guids.values())
    assert sorted(token_rows) == sorted(owners)
    assert {session.id: owners[session.user_id] for session in sessions} == {
        uuid.UUID(person.signed_in["session_id"]): guids[person.username] for person in people
    }
    assert len(sessions) == PEOPLE
    with wire(garmin) as browser:
        for user_id, guid in owners.items():
            tokens = database.run(partial(load_tokens, keyring, user_id))
            access = json.loads(tokens.data.get_secret_value())["oauth2"]["access_token"]
            assert browser.profile(access).json()["garminGUID"] == guid
    database.close()


def load_tokens(keyring: Keyring, user_id: uuid.UUID, session: Session) -> GarminTokens:
    tokens = TokenRepository(session, keyring).load(user_id)
    assert tokens is not None
    return tokens


def check_counters(afterwards: Afterwards) -> None:
    """Garmin was asked once for each job, and once more at the most where a worker was lost."""
    lost = {job_id for job_id, runs in afterwards.runs.items() if runs > 1}
    assert lost, "no worker that was killed had a job"
    for person in afterwards.people:
        posts = afterwards.count(person, "credential_posts")
        checked = afterwards.count(person, "codes_checked")
        accepted = afterwards.count(person, "codes_accepted")
        assert 1 <= posts <= afterwards.most(person.logins), person
        assert checked <= afterwards.most(person.codes), person
        if person.gets_codes:
            assert 1 <= accepted <= 1 + person.interrupted_codes, person
        else:
            assert checked == accepted == 0, person
        if lost.isdisjoint(job["job_id"] for job in (*person.logins, *person.codes)):
            assert (posts, checked) == (len(person.logins), len(person.codes)), person
    without = [person for person in afterwards.people if len(person.logins) == 1]
    print(
        f"{afterwards.kills} kills, {len(lost)} jobs lost a worker, {PEOPLE - len(without)} again"
    )


def guid_of(garmin: Simulator, person: Person) -> str:
    return str(garmin.account(person.username)["profile"]["garminGUID"])
