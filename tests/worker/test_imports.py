"""Imports, over the real drivers: whose tokens they are is asked of Garmin, and none are lost."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from dev.simulator import Simulator
from shared.accounts.clients import ClientRepository
from shared.accounts.connections import ConnectionRepository
from shared.accounts.refreshes import RefreshLog
from shared.accounts.tokens import TokenRepository
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.errors import SealBrokenError, ServiceUnavailableError
from shared.garmin.imports import Import, ImportedTokens
from shared.garmin.types import Credentials, GarminDomain
from shared.jobs.states import Failure, JobKind, JobStage
from shared.origin import Origin
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from tests.jwts import jwt
from tests.shared.jobs.both_sides import Jobs
from tests.worker.importing import ANNA, BERT, KEY, TIMINGS, Importer, file_of
from tests.worker.ways import ALWAYS, GARTH, MOBILE
from worker.drivers.http import GarminAdapter
from worker.run import PostponedError

each_library = pytest.mark.parametrize("library", [GARTH, MOBILE])


@pytest.fixture
def redis_url(real_redis_url: str) -> str:
    return real_redis_url


@pytest.fixture
def importer(
    redis: Redis,
    keyring: Keyring,
    sqlite_url: str,
    adapter: GarminAdapter,
    reached_garmin: Simulator,
) -> Iterator[Importer]:
    adapter.timings = replace(TIMINGS, garmin_answer=60.0)
    database = Database(sqlite_url)
    yield Importer(redis, keyring, database, reached_garmin, adapter)
    database.close()


@each_library
def test_tokens_of_either_library_are_imported(importer: Importer, library: str) -> None:
    before = file_of(importer.tokens(library))
    success = importer.succeed(before)
    assert importer.guid_of(success) == importer.guid(ANNA)
    assert success.display_name == "Plain Anna"
    assert success.exclusive is (library == MOBILE)
    [row] = importer.rows
    assert (row.driver, row.method, row.access) == (library, "import", "read_write")
    assert importer.refreshes == 0
    assert importer.drivers[library].identify(importer.stored, ALWAYS).guid == importer.guid(ANNA)


@each_library
def test_an_access_token_that_is_over_is_renewed_once(importer: Importer, library: str) -> None:
    text = file_of(importer.old_tokens(library))
    before = importer.garmin.count("oauth2_exchanges")
    importer.succeed(text)
    renewals = importer.refreshes + importer.garmin.count("oauth2_exchanges") - before
    assert renewals == 1
    assert importer.stored.access_expires_at > datetime.now(UTC) + timedelta(hours=1)
    renewed = importer.drivers[library].refresh(importer.stored, ALWAYS)
    assert importer.drivers[library].identify(renewed, ALWAYS).guid == importer.guid(ANNA)
    assert importer.garmin.count("di_refreshes_reused") == 0


@each_library
def test_an_access_token_that_garmin_ended_is_renewed(importer: Importer, library: str) -> None:
    text = file_of(importer.tokens(library))
    importer.garmin.expire_tokens(ANNA)
    assert importer.guid_of(importer.succeed(text)) == importer.guid(ANNA)


@each_library
def test_revoked_tokens_are_rejected(importer: Importer, library: str) -> None:
    text = file_of(importer.tokens(library))
    importer.garmin.revoke_tokens(ANNA)
    failure = importer.fail(text)
    assert (failure.code, importer.rows) == ("tokens_rejected", [])
    assert "does not accept these tokens" in failure.message


def test_unreadable_tokens_ask_garmin_nothing(importer: Importer) -> None:
    failure = importer.fail('{"di_token": "t", "di_refresh_token": "r"}')
    assert failure.code == "tokens_unreadable"
    assert "garminconnect" in failure.message
    assert "di_client_id" in failure.message
    assert importer.garmin.count("requests") == 0


def test_a_forged_identity_is_never_believed(importer: Importer) -> None:
    forged = jwt(exp=4_000_000_000, garmin_guid=importer.guid(BERT))
    mine = json.loads(file_of(importer.tokens(MOBILE)))
    text = json.dumps({**mine, "di_token": forged})
    assert importer.guid_of(importer.succeed(text)) == importer.guid(ANNA)


def test_a_forged_identity_is_not_believed_where_garmin_does_not_say(importer: Importer) -> None:
    forged = jwt(exp=4_000_000_000, garmin_guid=importer.guid(BERT))
    mine = json.loads(file_of(importer.tokens(MOBILE)))
    importer.garmin.configure(refuse={"profile": {"status": 500}})
    assert importer.fail(json.dumps({**mine, "di_token": forged})).code == "garmin_unavailable"
    assert importer.rows == []
    assert importer.refreshes == 0


def test_renewed_tokens_are_not_lost_to_a_profile_that_can_not_be_read(importer: Importer) -> None:
    text = file_of(importer.old_tokens(MOBILE))
    importer.garmin.configure(refuse={"profile": {"status": 500}})
    success = importer.succeed(text)
    assert importer.guid_of(success) == importer.guid(ANNA)
    assert success.display_name == "Garmin user"


def test_a_lost_answer_is_followed_by_the_same_refresh_token_at_once(importer: Importer) -> None:
    text = file_of(importer.old_tokens(MOBILE, "refreshlost-plain-anna@example.com"))
    importer.garmin.configure(refresh_grace_s=60)
    importer.succeed(text)
    assert importer.garmin.count("di_refreshes_repeated") == 1
    assert importer.garmin.count("di_refreshes_reused") == 0


def test_what_a_dead_worker_has_renewed_is_stored_by_the_next_one(importer: Importer) -> None:
    """The refresh token has been used up: Garmin must not be asked again."""
    job_id = importer.submit(file_of(importer.old_tokens(MOBILE)))
    runner = importer.runner

    def away(_: object) -> None:
        raise ServiceUnavailableError("database")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importer.database, "run", away)
        with pytest.raises(PostponedError):
            runner.run(job_id)
    assert importer.rows == []
    assert runner.run(job_id) == "succeeded"
    assert importer.refreshes == 1
    importer.drivers[MOBILE].refresh(importer.stored, ALWAYS)


def test_a_renewal_is_sealed_before_garmin_is_asked_whose_it_is(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[JobStage] = []
    keep = Jobs.keep_progress

    def noted(self: Jobs, claim: object, stage: JobStage, progress: object) -> None:
        stages.append(stage)
        assert len(stages) > 1 or importer.garmin.count("profiles") == 0
        keep(self, claim, stage, progress)  # type: ignore[arg-type]

    monkeypatch.setattr(Jobs, "keep_progress", noted)
    importer.succeed(file_of(importer.old_tokens(MOBILE)))
    assert stages == [JobStage.READING_PROFILE, JobStage.STORING]


@each_library
def test_refused_imports_wait_and_stop_nobody_else(importer: Importer, library: str) -> None:
    for name in ("one", "two", "three"):
        text = file_of(importer.old_tokens(library, f"refreshlimited-after-{name}@example.com"))
        failure = importer.run(text, Origin(account=name))
        assert isinstance(failure, Failure)
        assert failure.code == "garmin_rate_limited"
        assert failure.retry_after == importer.cooldowns.remaining(library, name) > 0
        assert DriverCooldowns(importer.redis).remaining(library, name) == 0
    assert importer.cooldowns.remaining(library) == 0


def test_tokens_are_for_their_own_domain(importer: Importer) -> None:
    text = file_of(importer.tokens(MOBILE))
    work = Import(given=ImportedTokens(tokens=SecretStr(text)), domain=GarminDomain.CN)
    job = importer.jobs.create(importer.jobs.new_id(), JobKind.IMPORT, work)
    assert importer.runner.run(job.job_id) == "wrong_domain"


@pytest.fixture
def linked(importer: Importer) -> Callable[[str], Origin]:
    """An app with one user id."""
    client, _ = importer.database.run(lambda session: ClientRepository(session).add("app"))
    return lambda user_id: Origin(client_id=client.client_id, client_user_id=user_id)


def test_an_import_connects_the_user_of_an_app(
    importer: Importer, linked: Callable[[str], Origin]
) -> None:
    origin = linked("member-1")
    success = importer.succeed(file_of(importer.tokens(GARTH)), origin)
    assert origin.client_id is not None
    client_id = origin.client_id
    view = importer.database.run(lambda s: ConnectionRepository(s).view(client_id, "member-1"))
    assert (str(view.user_id), view.garmin.method) == (success.user_id, "import")


def test_an_import_replaces_what_was_stored_as_a_sign_in_does(importer: Importer) -> None:
    importer.succeed(file_of(importer.tokens(GARTH)))
    importer.succeed(file_of(importer.tokens(MOBILE)))
    [row] = importer.rows
    assert (row.driver, row.generation) == (MOBILE, 2)


def test_an_access_token_alone_replaces_nothing_and_opens_no_session(importer: Importer) -> None:
    """An app may have the access token: only the refresh token shows that the person brings it."""
    importer.succeed(file_of(importer.tokens(MOBILE)))
    kept = json.loads(file_of(importer.stored))
    failure = importer.fail(json.dumps({**kept, "di_refresh_token": "invented"}))
    assert failure.code == "tokens_rejected"
    assert json.loads(file_of(importer.stored)) == kept
    assert importer.sessions == 1


def test_tokens_of_two_people_are_theirs_who_can_renew_them(importer: Importer) -> None:
    anna = importer.succeed(file_of(importer.tokens(MOBILE)))
    kept = importer.stored
    berts = json.loads(file_of(importer.tokens(MOBILE, BERT)))
    mixed = json.dumps({**berts, "di_token": json.loads(file_of(kept))["di_token"]})
    assert importer.guid_of(importer.succeed(mixed)) == importer.guid(BERT)
    [row] = [row for row in importer.rows if str(row.user_id) == anna.user_id]
    opened = importer.database.run(lambda s: TokenRepository(s, importer.keyring).open(row))
    assert opened.tokens == kept


def test_an_old_file_does_not_replace_newer_tokens(importer: Importer) -> None:
    text = file_of(importer.tokens(MOBILE))
    importer.succeed(text)
    [row] = importer.rows
    newer = importer.drivers[MOBILE].refresh(importer.stored, ALWAYS)
    importer.database.run(
        lambda s: RefreshLog(s, importer.keyring).finish(row.id, row.generation, newer)
    )
    assert importer.fail(text).code == "tokens_rejected"
    assert importer.stored == newer


def test_a_personal_api_key_is_imported(
    importer: Importer, linked: Callable[[str], Origin]
) -> None:
    success = importer.succeed(f"key-{ANNA}", linked("member-1"))
    assert importer.guid_of(success) == importer.guid(ANNA)
    assert success.exclusive is False
    [row] = importer.rows
    assert (row.driver, row.method, row.access) == (KEY, "personal_api_key", "read")
    assert importer.garmin.count("key_exchanges") == 1
    assert json.loads(file_of(importer.stored))["personal_api_key"] == f"key-{ANNA}"
    renewed = importer.drivers[KEY].refresh(importer.stored, ALWAYS)
    assert importer.drivers[KEY].identify(renewed, ALWAYS).guid == importer.guid(ANNA)


def test_a_key_and_tokens_live_side_by_side_and_the_last_one_is_connected(
    importer: Importer, linked: Callable[[str], Origin]
) -> None:
    origin = linked("member-1")
    client_id = origin.client_id
    assert client_id is not None
    for given, access in ((f"key-{ANNA}", "read"), (file_of(importer.tokens(GARTH)), "read_write")):
        importer.succeed(given, origin)
        view = importer.database.run(lambda s: ConnectionRepository(s).view(client_id, "member-1"))
        assert view.garmin.access == access
    assert sorted(row.access for row in importer.rows) == ["read", "read_write"]


def test_a_key_whose_token_names_nobody_is_still_asked_for_its_owner(importer: Importer) -> None:
    success = importer.succeed(f"key-keynoguid-{ANNA}")
    assert importer.guid_of(success).startswith("name:")


def test_a_revoked_key_is_rejected(importer: Importer) -> None:
    importer.succeed(f"key-{ANNA}")
    importer.garmin.revoke_keys(ANNA)
    failure = importer.fail(f"key-{ANNA}")
    assert failure.code == "tokens_rejected"
    assert "Personal API key" in failure.message


def test_what_was_given_can_not_be_read_in_redis_and_opens_as_nothing_else(
    importer: Importer,
) -> None:
    job_id = importer.submit("canary-token")
    dump = b"".join(importer.redis.dump(key) or b"" for key in importer.redis.scan_iter())
    assert b"canary-token" not in dump
    importer.redis.hset(f"fittrack:job:{job_id}", "kind", "login")
    claim = importer.jobs.claim(job_id, "worker")
    with pytest.raises(SealBrokenError):
        importer.jobs.open_input(claim, Credentials)
