"""Personal API keys at the simulated Garmin: exchanged, identified, refused."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from dev.simulator import Simulator
from shared.errors import (
    ClientRefusedError,
    DriverFailedError,
    GarminUnavailableError,
    RefusalScope,
    SignInError,
    TokensRejectedError,
)
from shared.garmin.access import access_token, api_base
from shared.garmin.types import GarminDomain, GarminIdentity, GarminTokens
from tests.worker.scripted import CREDENTIALS, pending
from tests.worker.ways import ALWAYS, Way
from worker.drivers.http import GarminAdapter
from worker.drivers.personal_api import DRIVER, PersonalApiDriver

ANNA = "plain-anna@example.com"
EXCHANGE = "/personalapitoken-service/personal-api/personal-api-key/token"
SETTINGS = "/userprofile-service/userprofile/settings"
DAY = timedelta(days=1)


def imported(key: str, domain: GarminDomain = GarminDomain.COM) -> GarminTokens:
    """A key as it is when it comes in."""
    now = datetime.now(UTC)
    return GarminTokens(
        driver=DRIVER,
        domain=domain,
        data=SecretStr(json.dumps({"personal_api_key": key})),
        access_expires_at=now,
        refresh_expires_at=now,
    )


@dataclass
class Keys:
    garmin: Simulator
    driver: PersonalApiDriver
    secrets: set[str] = field(default_factory=set)

    def exchange(self, key: str) -> GarminTokens:
        self.secrets.add(key)
        return self.driver.refresh(imported(key), ALWAYS)

    def of(self, username: str) -> GarminTokens:
        return self.exchange(f"key-{username}")

    def refused[E: SignInError](self, kind: type[E], call: Callable[[], object]) -> E:
        """Check that a call raises exactly this, and shows nothing of a key."""
        with pytest.raises(kind) as caught:
            call()
        return Way("", self.garmin, GarminAdapter(), secrets=self.secrets).checked(
            caught.value, kind
        )

    def profile(self, username: str) -> dict[str, object]:
        return dict(self.garmin.account(username)["profile"])


@pytest.fixture
def keys(reached_garmin: Simulator, adapter: GarminAdapter) -> Keys:
    return Keys(reached_garmin, PersonalApiDriver(adapter))


def test_a_key_is_exchanged_for_a_token_that_reads(keys: Keys) -> None:
    tokens = keys.of(ANNA)
    assert access_token(tokens).get_secret_value() in keys.garmin.issued()["access_token"]
    assert api_base(tokens) == "https://personal.connectapi.garmin.com"
    left = tokens.access_expires_at - datetime.now(UTC)
    assert DAY - timedelta(minutes=1) < left <= DAY
    data = json.loads(tokens.data.get_secret_value())
    assert data["personal_api_key"] == f"key-{ANNA}"
    assert datetime.fromisoformat(data["expires_at"]) == tokens.access_expires_at


def test_a_key_is_exchanged_again_and_stays_the_same(keys: Keys) -> None:
    first = keys.of(ANNA)
    again = keys.driver.refresh(GarminTokens.from_revealed(first.reveal()), ALWAYS)
    assert access_token(again) != access_token(first)
    assert again.refresh_expires_at == first.refresh_expires_at
    assert keys.garmin.count("key_exchanges", ANNA) == 2
    assert keys.driver.identify(again, ALWAYS).guid == keys.profile(ANNA)["garminGUID"]


def test_nothing_is_written_to_disk(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    keys.driver.identify(keys.of(ANNA), ALWAYS)
    assert not list(tmp_path.rglob("*"))


def test_the_token_says_whose_the_key_is_and_the_settings_the_name(keys: Keys) -> None:
    tokens, profile = keys.of(ANNA), keys.profile(ANNA)
    expected = (profile["garminGUID"], None, profile["displayName"])
    found = keys.driver.identify(tokens, ALWAYS)
    assert (found.guid, found.display_name, found.garmin_display_name) == expected
    claimed = keys.driver.claimed_identity(tokens)
    assert claimed is not None
    assert claimed.guid == profile["garminGUID"]


def test_without_a_guid_the_display_name_is_an_identity_of_its_own(keys: Keys) -> None:
    username = "keynoguid-bob@example.com"
    tokens, name = keys.of(username), str(keys.profile(username)["displayName"])
    found = keys.driver.identify(tokens, ALWAYS)
    assert found == GarminIdentity.of_name(name)
    assert (found.is_of_name, found.garmin_display_name) == (True, name)
    assert keys.driver.claimed_identity(tokens) is None


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("key", ["key-keyrevoked-anna@example.com", "no-such-key"])
def test_a_dead_key_is_rejected(keys: Keys, status: int, key: str) -> None:
    keys.garmin.configure(dead_key_status=status)
    keys.refused(TokensRejectedError, lambda: keys.exchange(key))


@pytest.mark.parametrize("key", ["", "a key", "key\r\nX: y", "kéy"])
def test_a_key_that_can_not_stand_in_a_header_is_rejected_unsent(keys: Keys, key: str) -> None:
    keys.refused(TokensRejectedError, lambda: keys.driver.refresh(imported(key), ALWAYS))


@pytest.mark.parametrize("data", ["", "[]", "null", "{}", '{"personal_api_key": 1}', "[" * 100_000])
def test_any_stored_shape_raises_our_errors_only(keys: Keys, data: str) -> None:
    tokens = imported("").model_copy(update={"data": SecretStr(data)})
    for call in (keys.driver.refresh, keys.driver.identify):
        with pytest.raises(TokensRejectedError):
            call(tokens, ALWAYS)


def test_a_rate_limit_says_how_long(keys: Keys) -> None:
    refusal = keys.refused(ClientRefusedError, lambda: keys.of("keylimited-after-anna@example.com"))
    assert (refusal.retry_after, refusal.scope) == (120, RefusalScope.ACCOUNT)


@pytest.mark.parametrize("word", ["keycloudflare", "keycfattention", "keycfdenied", "keycf1020"])
def test_cloudflares_403_says_nothing_of_the_key(keys: Keys, word: str) -> None:
    username = f"{word}-anna@example.com"
    assert keys.refused(ClientRefusedError, lambda: keys.of(username)).scope is RefusalScope.CLIENT


def test_a_401_as_a_page_says_nothing_of_the_key(keys: Keys) -> None:
    keys.garmin.configure(faults=[{"kind": "status", "status": 401, "path": EXCHANGE}])
    keys.refused(GarminUnavailableError, lambda: keys.of(ANNA))
    assert keys.of(ANNA)


@pytest.mark.parametrize("word", ["keydown", "keygarbage", "keycut-before"])
def test_a_useless_answer_is_unavailable(keys: Keys, word: str) -> None:
    keys.refused(GarminUnavailableError, lambda: keys.of(f"{word}-anna@example.com"))


@pytest.mark.parametrize("kind", ["html", "garbage"])
def test_settings_that_can_not_be_read_are_unavailable(keys: Keys, kind: str) -> None:
    tokens = keys.of("keynoguid-anna@example.com")
    keys.garmin.configure(faults=[{"kind": kind, "path": SETTINGS}])
    keys.refused(GarminUnavailableError, lambda: keys.driver.identify(tokens, ALWAYS))


def test_the_token_of_a_revoked_key_identifies_nobody(keys: Keys) -> None:
    tokens = keys.of(ANNA)
    keys.garmin.revoke_keys(ANNA)
    keys.refused(TokensRejectedError, lambda: keys.driver.identify(tokens, ALWAYS))
    keys.refused(TokensRejectedError, lambda: keys.driver.refresh(tokens, ALWAYS))


def test_no_key_is_good_for_longer_than_a_year(keys: Keys) -> None:
    left = keys.of(ANNA).refresh_expires_at - datetime.now(UTC)
    assert 365 * DAY - timedelta(minutes=1) < left <= 365 * DAY


def test_a_token_of_less_than_a_day_says_when_its_key_ends(keys: Keys) -> None:
    key = keys.garmin.make_key(ANNA, days=30)
    first = keys.exchange(key)
    keys.garmin.advance_clock(29.5 * 86_400)
    last = keys.driver.refresh(first, ALWAYS)
    assert last.refresh_expires_at == last.access_expires_at
    # The clock of this process stands still.
    ends_at = first.access_expires_at + 29 * DAY
    assert abs(last.refresh_expires_at - ends_at) < timedelta(minutes=1)


def test_a_key_that_turns_out_to_live_longer_does(keys: Keys) -> None:
    """Should Garmin ever give a shorter token for another reason."""
    first = keys.exchange(keys.garmin.make_key(ANNA, days=0.5))
    assert first.refresh_expires_at == first.access_expires_at
    longer = json.loads(first.data.get_secret_value()) | {"personal_api_key": f"key-{ANNA}"}
    stored = first.model_copy(update={"data": SecretStr(json.dumps(longer))})
    again = keys.driver.refresh(stored, ALWAYS)
    assert again.refresh_expires_at - first.refresh_expires_at > 360 * DAY


def test_nobody_signs_in_with_a_key(keys: Keys) -> None:
    with pytest.raises(DriverFailedError):
        keys.driver.sign_in(CREDENTIALS, ALWAYS)
    with pytest.raises(DriverFailedError):
        keys.driver.finish(pending(DRIVER), "123456", ALWAYS)
