"""The two sets of timings: each is consistent in itself."""

import pytest

from dev.short import SHORT
from shared.timings import PRODUCTION, Timings

both = pytest.mark.parametrize("timings", [PRODUCTION, SHORT], ids=["production", "short"])


@both
def test_a_message_comes_back_when_the_lease_of_its_dead_worker_is_over(timings: Timings) -> None:
    assert timings.lease < timings.visibility_timeout


@both
def test_a_job_over_its_share_comes_back_before_its_message_does(timings: Timings) -> None:
    assert timings.share_delay < timings.share_longest_delay < timings.visibility_timeout


@both
def test_a_lease_outlasts_several_renewals_that_fail(timings: Timings) -> None:
    assert timings.lease >= 5 * timings.lease_renewal
    assert timings.lease_renewal_retry < timings.lease_renewal


@both
def test_a_worker_that_died_while_redelivering_keeps_nobody_waiting_for_long(
    timings: Timings,
) -> None:
    assert timings.redelivery_interval < timings.redelivery_lock < timings.visibility_timeout


@both
def test_a_code_stays_reserved_while_two_workers_are_lost(timings: Timings) -> None:
    lost = timings.visibility_timeout + timings.redelivery_interval
    assert timings.challenge_reservation > 2 * lost


@both
def test_a_deadline_leaves_time_for_several_answers_of_garmin(timings: Timings) -> None:
    answer = timings.garmin_connect + timings.garmin_answer
    assert answer < timings.code_deadline / 2
    assert timings.code_deadline <= timings.login_deadline


@both
def test_the_server_cancels_a_statement_before_its_client_gives_up(timings: Timings) -> None:
    assert timings.database_statement < timings.database_answer


def test_nothing_takes_longer_in_the_short_set() -> None:
    longer = {name for name, value in vars(SHORT).items() if value > getattr(PRODUCTION, name)}
    assert longer == set()
