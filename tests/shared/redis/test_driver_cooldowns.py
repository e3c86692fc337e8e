"""Who waits for a driver that Garmin refused, and how long, over real Redis and fakeredis."""

from collections.abc import Callable

import pytest

from shared.errors import ClientRefusedError, RefusalScope, ServiceUnavailableError
from shared.redis.connection import Redis, connect
from shared.redis.driver_cooldowns import DriverCooldowns, DriverRestsError, RestCause, Turn
from shared.redis.driver_keys import DriverKeys
from shared.redis.driver_states import DriverStates
from tests.cooldowns import end_account_rests, end_rest, refuse
from tests.logs import captured_logs
from tests.shared.samples import at_once, keys_that_never_expire, nothing_listens

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
ACCOUNT, CLIENT = RefusalScope.ACCOUNT, RefusalScope.CLIENT


@pytest.fixture
def cooldowns(redis: Redis) -> DriverCooldowns:
    return DriverCooldowns(redis)


def about(seconds: int, found: int) -> bool:
    """A little of it may already have passed."""
    return seconds - 30 <= found <= seconds


def rest_for_everybody(cooldowns: DriverCooldowns) -> None:
    for account in ("anna", "bob", "carl"):
        refuse(cooldowns, account=account, scope=ACCOUNT)


def probe(cooldowns: DriverCooldowns, account: str) -> Turn:
    turn = cooldowns.enter("garth", account)
    assert turn.probe
    return turn


def test_a_driver_nobody_refused_does_not_rest(cooldowns: DriverCooldowns) -> None:
    assert cooldowns.remaining("garth") == 0
    assert cooldowns.remaining("garth", "anna") == 0
    assert cooldowns.enter("garth", "anna") == Turn("garth", "anna")


def test_a_refused_account_waits_alone(cooldowns: DriverCooldowns) -> None:
    assert about(15 * MINUTE, refuse(cooldowns, account="anna", scope=ACCOUNT))
    assert about(15 * MINUTE, cooldowns.remaining("garth", "anna"))
    with pytest.raises(DriverRestsError) as caught:
        cooldowns.enter("garth", "anna")
    assert about(15 * MINUTE, caught.value.retry_after)
    assert cooldowns.remaining("garth", "bob") == cooldowns.remaining("garth") == 0
    assert cooldowns.enter("garth", "bob") == Turn("garth", "bob")
    assert cooldowns.remaining("garminconnect", "anna") == 0


def test_an_unknown_account_has_no_wait_of_its_own(cooldowns: DriverCooldowns) -> None:
    assert refuse(cooldowns, account=None, scope=ACCOUNT) == 0
    assert cooldowns.remaining("garth") == 0


@pytest.mark.parametrize("scope", RefusalScope)
@pytest.mark.parametrize("seconds", [50, 5 * HOUR, DAY])
def test_what_garmin_asks_for_is_honoured(
    cooldowns: DriverCooldowns, seconds: int, scope: RefusalScope
) -> None:
    assert about(seconds, refuse(cooldowns, "garth", seconds, scope=scope))
    assert about(seconds, cooldowns.remaining("garth", "anna"))
    assert cooldowns.remaining("garth", "bob") == (
        cooldowns.remaining("garth", "anna") if scope is CLIENT else 0
    )


@pytest.mark.parametrize("scope", RefusalScope)
@pytest.mark.parametrize("seconds", [DAY + 1, 10 * DAY, 10**12])
def test_no_rest_is_longer_than_a_day(
    cooldowns: DriverCooldowns, seconds: int, scope: RefusalScope
) -> None:
    assert about(DAY, refuse(cooldowns, "garth", seconds, scope=scope))


def test_a_longer_wait_that_garmin_asks_for_during_a_rest_counts(
    cooldowns: DriverCooldowns,
) -> None:
    for scope in RefusalScope:
        refuse(cooldowns, "garth", 50, scope=scope)
        refuse(cooldowns, "garth", 500, scope=scope)
        refuse(cooldowns, "garth", 5, scope=scope)
    assert about(500, cooldowns.remaining("garth", "anna"))
    assert about(500, cooldowns.remaining("garth"))


@pytest.mark.parametrize("said", [None, 0, -5])
def test_a_refusal_of_the_client_is_an_hour_for_everybody(
    cooldowns: DriverCooldowns, said: int | None
) -> None:
    refuse(cooldowns, "garth", said)
    for account in ("anna", "bob", None):
        assert about(HOUR, cooldowns.remaining("garth", account))
    assert cooldowns.remaining("garminconnect", "bob") == 0


def test_an_account_waits_longer_each_time_up_to_a_day(
    cooldowns: DriverCooldowns, redis: Redis
) -> None:
    found = []
    for _ in range(10):
        found.append(refuse(cooldowns, scope=ACCOUNT))
        end_account_rests(redis)
    minutes = (15, 30, 60, 120, 240, 480, 960, 1440, 1440, 1440)
    assert all(about(e * MINUTE, f) for e, f in zip(minutes, found, strict=True)), found
    assert cooldowns.remaining("garth", "bob") == 0


@pytest.mark.parametrize("scope", RefusalScope)
def test_refusals_at_the_same_time_count_once(
    cooldowns: DriverCooldowns, redis: Redis, scope: RefusalScope
) -> None:
    first = HOUR if scope is CLIENT else 15 * MINUTE
    at_once(lambda _: refuse(cooldowns, scope=scope))
    assert about(first, cooldowns.remaining("garth", "anna"))
    end_account_rests(redis)
    if scope is CLIENT:
        end_rest(redis)
    assert about(2 * first, refuse(cooldowns, scope=scope))


def test_an_account_that_was_let_in_begins_small_again(
    cooldowns: DriverCooldowns, redis: Redis
) -> None:
    for _ in range(3):
        refuse(cooldowns, scope=ACCOUNT)
        end_account_rests(redis)
    cooldowns.accepted(Turn("garth", "anna"))
    assert about(15 * MINUTE, refuse(cooldowns, scope=ACCOUNT))


def test_one_account_however_often_refused_never_stops_others(
    cooldowns: DriverCooldowns, redis: Redis
) -> None:
    for _ in range(20):
        refuse(cooldowns, scope=ACCOUNT)
        end_account_rests(redis)
    at_once(lambda _: refuse(cooldowns, scope=ACCOUNT))
    refuse(cooldowns, account=None, scope=ACCOUNT)
    refuse(cooldowns, account="bob", scope=ACCOUNT)
    assert cooldowns.remaining("garth") == 0


def test_a_third_account_stops_everybody(cooldowns: DriverCooldowns) -> None:
    refuse(cooldowns, account="anna", scope=ACCOUNT)
    refuse(cooldowns, account="bob", scope=ACCOUNT)
    assert cooldowns.remaining("garth") == 0
    assert about(HOUR, refuse(cooldowns, account="carl", scope=ACCOUNT))
    assert about(HOUR, cooldowns.remaining("garth", "dora"))
    assert cooldowns.remaining("garminconnect", "dora") == 0


def test_three_accounts_at_the_same_moment_stop_everybody(cooldowns: DriverCooldowns) -> None:
    at_once(lambda number: refuse(cooldowns, account=f"a{number % 3}", scope=ACCOUNT))
    assert about(HOUR, cooldowns.remaining("garth", "dora"))


def test_somebody_let_in_between_keeps_the_driver_open(cooldowns: DriverCooldowns) -> None:
    refuse(cooldowns, account="anna", scope=ACCOUNT)
    refuse(cooldowns, account="bob", scope=ACCOUNT)
    cooldowns.accepted(Turn("garth", "emil"))
    refuse(cooldowns, account="carl", scope=ACCOUNT)
    refuse(cooldowns, account="anna", scope=ACCOUNT)
    assert cooldowns.remaining("garth") == 0
    assert cooldowns.remaining("garth", "anna") > 0


def test_accounts_refused_longer_than_ten_minutes_ago_do_not_count(
    cooldowns: DriverCooldowns, redis: Redis
) -> None:
    refused = DriverKeys(redis.keyspace, "garth").refused
    for account in ("anna", "bob"):
        refuse(cooldowns, account=account, scope=ACCOUNT)
        redis.zincrby(refused, -(10 * MINUTE + 1) * 1000, account)
    refuse(cooldowns, account="carl", scope=ACCOUNT)
    assert cooldowns.remaining("garth") == 0
    assert redis.zcard(refused) == 1


def test_refusals_of_codes_stop_nobody_else(cooldowns: DriverCooldowns) -> None:
    for number in range(5):
        turn = Turn("garth", f"a{number}")
        wait = cooldowns.refused(turn, ClientRefusedError(), counts=False)
        assert about(15 * MINUTE, wait)
    assert cooldowns.remaining("garth") == 0


def test_being_let_in_does_not_end_a_rest(cooldowns: DriverCooldowns) -> None:
    """Somebody's request may have been on its way when another's was refused."""
    refuse(cooldowns)
    cooldowns.accepted(Turn("garth", "bob"))
    assert cooldowns.remaining("garth", "bob") > 0


def test_after_a_rest_one_sign_in_probes(cooldowns: DriverCooldowns, redis: Redis) -> None:
    refuse(cooldowns)
    end_rest(redis)
    turns: list[Turn] = []
    waits: list[int] = []

    def sign_in(number: int) -> None:
        try:
            turns.append(cooldowns.enter("garth", f"a{number}"))
        except DriverRestsError as rest:
            waits.append(rest.retry_after)

    assert cooldowns.remaining("garth") == 0
    at_once(sign_in)
    assert len(turns) == 1
    assert turns[0].probe
    assert waits
    assert max(waits) <= 10
    assert 0 < cooldowns.remaining("garth") <= 10


def test_a_probe_that_is_let_in_wakes_the_driver(cooldowns: DriverCooldowns, redis: Redis) -> None:
    refuse(cooldowns)
    end_rest(redis)
    cooldowns.accepted(probe(cooldowns, "bob"))
    for account in ("carl", "dora"):
        assert cooldowns.enter("garth", account) == Turn("garth", account)
    assert about(HOUR, refuse(cooldowns, account="emil"))


@pytest.mark.parametrize("scope", RefusalScope)
def test_a_refused_probe_of_another_account_is_a_longer_rest(
    cooldowns: DriverCooldowns, redis: Redis, scope: RefusalScope
) -> None:
    refuse(cooldowns)
    found = []
    for number in range(7):
        end_rest(redis)
        turn = probe(cooldowns, f"a{number}")
        cooldowns.refused(turn, ClientRefusedError(scope=scope))
        found.append(cooldowns.remaining("garth"))
    hours = (2, 4, 8, 16, 24, 24, 24)
    assert all(about(e * HOUR, f) for e, f in zip(hours, found, strict=True)), found


def test_a_refused_probe_of_an_account_that_was_refused_before_stops_nobody(
    cooldowns: DriverCooldowns, redis: Redis
) -> None:
    rest_for_everybody(cooldowns)
    for account in ("anna", "bob"):
        end_rest(redis)
        turn = probe(cooldowns, account)
        cooldowns.refused(turn, ClientRefusedError())
        assert cooldowns.remaining("garth", account) > 0
        assert cooldowns.remaining("garth", "dora") == 0
    probe(cooldowns, "dora")


def test_one_account_does_not_make_the_rest_for_everybody_longer(
    cooldowns: DriverCooldowns, redis: Redis
) -> None:
    refuse(cooldowns)
    end_rest(redis)
    for times in (2, 4, 8):
        wait = cooldowns.refused(probe(cooldowns, "anna"), ClientRefusedError(scope=CLIENT))
        assert about(times * HOUR, wait)  # so that others come before it
        assert about(HOUR, cooldowns.remaining("garth"))
        end_rest(redis)


def test_a_probe_that_shows_nothing_is_left_to_the_next(
    cooldowns: DriverCooldowns, redis: Redis
) -> None:
    refuse(cooldowns)
    end_rest(redis)
    first = probe(cooldowns, "bob")
    cooldowns.leave(first)
    second = probe(cooldowns, "carl")
    cooldowns.leave(first)  # its worker was thought dead
    with pytest.raises(DriverRestsError):
        cooldowns.enter("garth", "dora")
    cooldowns.leave(second)
    probe(cooldowns, "dora")


def test_a_probe_whose_worker_died_ends_by_itself(cooldowns: DriverCooldowns, redis: Redis) -> None:
    refuse(cooldowns)
    end_rest(redis)
    probe(cooldowns, "bob")
    key = DriverKeys(redis.keyspace, "garth").probe
    assert 120 < redis.ttl(key) <= 180  # longer than a sign-in may take
    redis.delete(key)
    probe(cooldowns, "carl")


def test_a_resting_account_does_not_probe(cooldowns: DriverCooldowns, redis: Redis) -> None:
    refuse(cooldowns, account="anna")
    end_rest(redis)
    refuse(cooldowns, "garth", 500, account="bob", scope=ACCOUNT)
    with pytest.raises(DriverRestsError):
        cooldowns.enter("garth", "bob")
    probe(cooldowns, "carl")


def test_a_rest_that_is_nearly_over_is_not_yet_over(cooldowns: DriverCooldowns) -> None:
    refuse(cooldowns, "garth", 1, scope=ACCOUNT)
    assert cooldowns.remaining("garth", "anna") == 1


@pytest.mark.parametrize(
    ("scope", "reason"),
    [(CLIENT, "this address or client"), (ACCOUNT, "3 accounts were refused")],
)
def test_the_log_says_once_when_a_rest_for_everybody_begins(
    cooldowns: DriverCooldowns, scope: RefusalScope, reason: str
) -> None:
    with captured_logs("WARNING") as log:
        for number in range(6):
            refuse(cooldowns, "garth", 500, account=f"account{number}", scope=scope)
    assert log.getvalue().count("driver garth rests for everybody for 500 s") == 1
    assert reason in log.getvalue()
    assert "account0" not in log.getvalue()


def test_an_account_that_waits_is_no_warning(cooldowns: DriverCooldowns) -> None:
    with captured_logs("WARNING") as log:
        refuse(cooldowns, scope=ACCOUNT)
    assert log.getvalue() == ""


def test_the_operator_sees_who_rests_and_why(cooldowns: DriverCooldowns, redis: Redis) -> None:
    states = DriverStates(redis)
    assert states.of("garth").rest is None
    assert states.of("garth").accounts == 0
    refuse(cooldowns, "garth", 500, account="anna", scope=ACCOUNT)
    refuse(cooldowns, "garth", 900, account="bob", scope=ACCOUNT)
    state = states.of("garth")
    assert (state.rest, state.accounts) == (None, 2)
    assert state.accounts_until is not None
    assert about(900, round((state.accounts_until - state.now).total_seconds()))
    refuse(cooldowns, "garth", 100, account="carl", scope=ACCOUNT)
    state = states.of("garth")
    assert state.rest is not None
    assert state.rest.why is RestCause.ACCOUNTS
    assert about(100, round((state.rest.until - state.rest.since).total_seconds()))
    assert about(100, round(state.rest_seconds))
    assert states.of("garminconnect").rest is None


def test_refusals_are_counted_by_driver_and_scope(cooldowns: DriverCooldowns, redis: Redis) -> None:
    for driver, scope in (("garth", CLIENT), ("garth", ACCOUNT), ("garth", ACCOUNT)):
        refuse(cooldowns, driver, scope=scope)
    assert DriverStates(redis).refusals() == {("garth", "client"): 1, ("garth", "account"): 2}


def test_a_woken_driver_is_as_new(cooldowns: DriverCooldowns, redis: Redis) -> None:
    for driver in ("garth", "garminconnect"):
        for account in ("anna", "bob"):
            refuse(cooldowns, driver, account=account)
            refuse(cooldowns, driver, account=account, scope=ACCOUNT)
    end_rest(redis)
    probe(cooldowns, "carl")
    DriverStates(redis).wake("garth")
    assert list(redis.scan_iter("fittrack:rest:garth*")) == []
    assert cooldowns.enter("garth", "anna") == Turn("garth", "anna")
    assert about(HOUR, cooldowns.remaining("garminconnect"))
    assert about(HOUR, refuse(cooldowns))


def test_all_keys_expire(cooldowns: DriverCooldowns, redis: Redis) -> None:
    rest_for_everybody(cooldowns)
    refuse(cooldowns, "garminconnect", 50)
    end_rest(redis)
    probe(cooldowns, "dora")
    assert len(list(redis.scan_iter("fittrack:rest:*"))) >= 10
    assert keys_that_never_expire(redis) == []


def test_without_redis_every_method_says_so() -> None:
    with connect(f"redis://{nothing_listens()}/0", timeout=5) as redis:
        cooldowns, states = DriverCooldowns(redis), DriverStates(redis)
        calls: list[Callable[[], object]] = [
            lambda: refuse(cooldowns),
            lambda: cooldowns.enter("garth", "anna"),
            lambda: cooldowns.accepted(Turn("garth")),
            lambda: cooldowns.leave(Turn("garth", probe="token")),
            lambda: cooldowns.remaining("garth"),
            lambda: states.of("garth"),
            lambda: states.wake("garth"),
            states.refusals,
        ]
        for call in calls:
            with pytest.raises(ServiceUnavailableError):
                call()
