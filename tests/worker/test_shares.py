"""Who may hold how many of a worker's threads."""

import uuid
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import pytest

from shared.crypto.keyring import Keyring
from shared.errors import JobNotFoundError
from shared.jobs.kinds import KINDS
from shared.jobs.states import JobKind, JobStatus
from shared.origin import UNKNOWN, Origin
from shared.redis.connection import Redis
from shared.timings import PRODUCTION
from tests.shared.jobs.both_sides import Jobs
from tests.worker.scripted import ScriptedDriver
from tests.worker.test_storing import CREDENTIALS, runner
from worker.shares import NoThreadFreeError, ShareUsedUpError, ThreadShares, kept_for_urgent

LOGIN, CODE = KINDS[JobKind.LOGIN], KINDS[JobKind.MFA_COMPLETION]
NOBODY_IN_PARTICULAR = Origin(address="192.0.2.200")


class Threads:
    """A worker's threads, with jobs that hang."""

    def __init__(self, threads: int = 32, per_address: int = 25, per_app: int = 75) -> None:
        self.shares = ThreadShares(threads, per_address, per_app)
        self.jobs = ExitStack()

    def begin(self, origin: Origin, kind=LOGIN) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        self.jobs.enter_context(self.shares.hold(kind, origin))

    def fill(self, origin: Origin) -> int:
        """Begin sign-ins until no more are allowed; return how many that were."""
        begun = 0
        while True:
            try:
                self.begin(origin)
            except (ShareUsedUpError, NoThreadFreeError):
                return begun
            begun += 1

    def is_open_to(self, origin: Origin) -> bool:
        try:
            with self.shares.hold(LOGIN, origin):
                return True
        except (ShareUsedUpError, NoThreadFreeError):
            return False


def address(number: int) -> Origin:
    return Origin(address=f"192.0.2.{number}")


def app(number: int, address: int = 1) -> Origin:
    return Origin(address=f"192.0.2.{address}", client_id=uuid.UUID(int=number))


@pytest.mark.parametrize(("threads", "kept"), [(1, 0), (2, 1), (8, 1), (16, 2), (32, 4), (320, 8)])
def test_some_threads_are_kept_for_codes(threads: int, kept: int) -> None:
    assert kept_for_urgent(threads) == kept
    busy = Threads(threads, 100, 100)
    assert busy.fill(address(1)) == threads - kept
    with pytest.raises(NoThreadFreeError):
        busy.begin(address(2))
    for number in range(kept):
        busy.begin(address(number), CODE)
    with pytest.raises(NoThreadFreeError):
        busy.begin(address(200), CODE)


def test_one_address_holds_a_quarter_and_five_leave_room() -> None:
    busy = Threads()
    assert [busy.fill(address(number)) for number in range(5)] == [7, 6, 4, 3, 2]
    assert busy.is_open_to(NOBODY_IN_PARTICULAR)


def test_the_longer_it_lasts_the_more_equal_the_shares() -> None:
    """A thread that becomes free goes to who holds the fewest."""
    busy = Threads()
    ended = busy.jobs.enter_context(ExitStack())
    ended.enter_context(busy.shares.hold(LOGIN, address(1)))
    for number in range(1, 30):
        busy.fill(address(number))
    assert not busy.is_open_to(NOBODY_IN_PARTICULAR)
    ended.close()
    assert not any(busy.is_open_to(address(number)) for number in range(1, 6))
    assert busy.is_open_to(NOBODY_IN_PARTICULAR)


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("percent", [1, 100])
def test_with_few_threads_everybody_may_hold_one(threads: int, percent: int) -> None:
    assert Threads(threads, percent, percent).is_open_to(address(1))
    assert Threads(threads, percent, percent).is_open_to(app(1))


def test_an_app_holds_three_quarters_whatever_its_servers_addresses() -> None:
    busy = Threads()
    for number in range(21):
        busy.begin(app(1, address=number))
    for number in range(5):
        with pytest.raises(ShareUsedUpError):
            busy.begin(app(1, address=number))
    assert busy.is_open_to(app(2))
    assert busy.is_open_to(address(1))  # what its app holds is not counted against it


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("unknown", "unknown", True),
        ("no:address", "192.0.2.1", False),
    ],
)
def test_an_ipv6_network_is_one_address(one: str, other: str, same: bool) -> None:
    busy = Threads()
    alone = busy.fill(Origin(address=one))
    assert (busy.fill(Origin(address=other)) == 0) is same
    assert alone == 7


def test_the_networks_of_one_ipv6_customer_hold_half() -> None:
    busy = Threads()
    held = [busy.fill(Origin(address=f"2001:db8:0:{number:x}::1")) for number in range(100)]
    assert sum(held) == 14
    assert busy.is_open_to(Origin(address="2001:db8:1::1"))


def test_the_code_of_somebody_whose_address_holds_its_share_finds_a_thread() -> None:
    busy = Threads()
    busy.fill(address(1))
    busy.begin(address(1), CODE)


def test_jobs_over_a_share_come_back_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("worker.shares.time", SimpleNamespace(monotonic=lambda: now))
    busy = Threads()
    for number in (1, 2):
        busy.fill(address(number))  # each has put one off already

    def next_turn(origin: Origin) -> float:
        with pytest.raises(ShareUsedUpError) as raised:
            busy.begin(origin)
        return round(raised.value.retry_after, 3)

    assert [next_turn(address(1)) for _ in range(3)] == [0.4, 0.6, 0.8]
    assert next_turn(address(2)) == 0.4
    assert [next_turn(address(1)) for _ in range(100)][-1] == PRODUCTION.share_longest_delay
    now += 60
    assert next_turn(address(1)) == 0.2


def test_a_thread_is_given_back_whatever_happens() -> None:
    busy = Threads(threads=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), busy.shares.hold(LOGIN, address(1)):
            raise ZeroDivisionError
    assert busy.is_open_to(address(1))


def test_a_job_over_its_share_is_left_as_it_was(
    redis: Redis, keyring: Keyring, sqlite_url: str
) -> None:
    driver, jobs = ScriptedDriver("garth"), Jobs(redis, keyring, 900)
    origin = address(1)
    job = jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS, origin)
    worker = runner(redis, keyring, jobs, driver, sqlite_url)
    before = redis.hgetall(f"fittrack:job:{job.job_id}")
    with ExitStack() as others:
        for _ in range(7):
            others.enter_context(worker.shares.hold(LOGIN, origin))
        with pytest.raises(ShareUsedUpError):
            worker.run(job.job_id)
    assert redis.hgetall(f"fittrack:job:{job.job_id}") == before
    token = job.poll_token.get_secret_value()
    assert jobs.view(job.job_id, token).status is JobStatus.QUEUED
    assert redis.exists(f"fittrack:job:{job.job_id}:lease") == 0
    assert worker.run(job.job_id) == "succeeded"
    assert redis.hget(f"fittrack:job:{job.job_id}", "runs") == b"1"


def test_only_jobs_that_are_known_are_looked_at(redis: Redis, keyring: Keyring) -> None:
    jobs = Jobs(redis, keyring, 900, PRODUCTION)
    origin = Origin(address="192.0.2.1", began_at=1)
    job = jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS, origin)
    assert jobs.look_at(job.job_id) == (LOGIN, origin)
    redis.hset(f"fittrack:job:{job.job_id}", "origin", "\xff")
    assert jobs.look_at(job.job_id) == (LOGIN, UNKNOWN)
    redis.hset(f"fittrack:job:{job.job_id}", "kind", "a newer version's")
    for job_id in (job.job_id, jobs.new_id()):
        with pytest.raises(JobNotFoundError):
            jobs.look_at(job_id)


def test_refreshes_leave_room_for_sign_ins() -> None:
    threads = Threads()
    begun = 0
    with suppress(ShareUsedUpError, NoThreadFreeError):
        while True:
            threads.begin(UNKNOWN, KINDS[JobKind.REFRESH])
            begun += 1
    assert 8 < begun < 28
    assert threads.is_open_to(NOBODY_IN_PARTICULAR)
    threads.jobs.close()
