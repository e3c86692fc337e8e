"""Everything that people and Garmin do to the service, with secrets that are noted."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from redis import Redis

from dev.processes import clean_environment
from dev.simulator import PASSWORD, Simulator
from dev.stack import BIN, Stack
from shared.crypto.tokens import token_hash
from tests.end_to_end.client import Json
from tests.end_to_end.recorders import TERMINAL, Recording, wait_until
from tests.end_to_end.watched import (
    CODE,
    LOGIN,
    WatchedClient,
    person,
    token,
    wrong_code,
    wrong_password,
)

_FAILURES = {
    "locked": "account_locked",
    "captcha": "captcha_required",
    "down": "garmin_unavailable",
    "garbage": "garmin_unavailable",
    "cut-before": "garmin_unavailable",
    "cut-after": "garmin_unavailable",
    "wrongpassword": "invalid_credentials",
}
_CODE_FAILURES = {
    "codelocked": "account_locked",
    "codedown": "garmin_unavailable",
    "codegarbage": "garmin_unavailable",
    "codecut-after": "garmin_unavailable",
}
_CLIENTS = ("GCM_ANDROID_DARK", "GCM_IOS_DARK", "widget")
_PATIENCE = 120


class Flows:
    """Over one stack. `garmin` asks for codes of ten letters."""

    def __init__(
        self, stack: Stack, client: WatchedClient, garmin: Simulator, recording: Recording
    ) -> None:
        self.stack = stack
        self.client = client
        self.garmin = garmin
        self.recording = recording
        self._redis = Redis.from_url(stack.settings["FITTRACK_REDIS_URL"])

    def close(self) -> None:
        self._redis.close()

    def through_garth(self) -> None:
        """Where Garmin lets garth in: every way to sign in, and every way to fail."""
        ways = ("plain", "email", "sms", "app", "profile500")
        at_once(
            *(partial(self.sign_in, words) for words in ways),
            partial(self.sign_in, "plain", domain="garmin.cn"),
            *(partial(self._fails, words, code) for words, code in _FAILURES.items()),
            *(partial(self._code_fails, words, code) for words, code in _CODE_FAILURES.items()),
            self._spelt_differently,
            self._in_wide_letters,
            self._wrong_password,
            self._wrong_code_then_right,
            self._too_many_wrong_codes,
            self._no_new_code_for_a_day,
            self._expired_challenge,
            self._expired_at_garmin,
            self._busy_challenge,
            self._busy_account,
            self._too_many_failures,
            self._too_many_codes,
            self._log_out,
            self._log_out_everywhere,
            self._unlink,
        )

    def through_garminconnect(self) -> None:
        """Where Garmin refuses garth, then also garminconnect's first way, then everything."""
        self._refuse(_CLIENTS[:1])
        self._with_and_without_codes()
        self._refuse(_CLIENTS[:2])
        self._with_and_without_codes()
        self._refuse(_CLIENTS)
        self._fails("plain", "garmin_rate_limited")
        self._not_even_asked()
        self._refuse(())
        self.sign_in("ticket401-plain")  # garth is refused at the ticket alone
        self._refuse(())

    def on_the_command_line(self) -> None:
        """With the bundled program, as a script runs it: password and code through its input."""
        username = self.client.note("username", person("email"))
        command = ["login", "--server", self.stack.url, "--username", username, "--json"]
        with subprocess.Popen(
            [BIN / "fittrack-auth", *command],
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as login:
            assert login.stdin is not None
            assert login.stdout is not None
            print(PASSWORD, file=login.stdin, flush=True)
            asked = login.stdout.readline()
            print(self.garmin.code(username), file=login.stdin, flush=True)
            told = asked + login.stdout.read()
        assert login.returncode == 0, told
        self.tell_terminal(told)
        session = json.loads((self.stack.folder / "fittrack-auth/session.json").read_text())
        self.client.note("access token", session["access_token"])
        self.run(["fittrack-auth", "whoami"], self._environment())
        self.run(["fittrack-auth", "logout"], self._environment())

    def admin(self, *arguments: str, ends: int = 0) -> str:
        """The operator's program, with the service's own settings."""
        environment = clean_environment(self.stack.settings)
        return self.run(["fittrack-auth-admin", *arguments], environment, ends)

    def new_client_key(self, *arguments: str) -> str:
        """What `clients add` and `clients renew` print is a key alone, which may stand there."""
        key = self._printed_secret("clients", *arguments)
        assert re.fullmatch(r"[\w-]{43}", key), key
        return self.client.note("client key", key)

    def new_webhook_secret(self, *arguments: str) -> str:
        """Likewise for `webhooks add` and `webhooks rotate`."""
        secret = self._printed_secret("webhooks", *arguments)
        return self.client.note("webhook secret", secret.removeprefix("whsec_"))

    def _printed_secret(self, *arguments: str) -> str:
        done = self._run(
            ["fittrack-auth-admin", *arguments], clean_environment(self.stack.settings)
        )
        self.tell_terminal(done.stderr)
        return done.stdout.strip()

    def run(self, command: list[str], environment: Mapping[str, str], ends: int = 0) -> str:
        """One of our programs, to its end, which is good unless another is expected."""
        done = self._run(command, environment, ends)
        printed = done.stdout + done.stderr
        self.tell_terminal(printed)
        return printed

    def _run(
        self, command: list[str], environment: Mapping[str, str], ends: int = 0
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        assert done.returncode == ends, done.stdout + done.stderr
        return done

    def tell_terminal(self, printed: str) -> None:
        self.recording.note(TERMINAL, printed)

    def sign_in(self, words: str, **more: str) -> Json:
        username = person(words)
        outcome = self.client.login(username, **more)
        if outcome["status"] == "mfa_required":
            outcome = self.client.send_code(outcome, self.garmin.code(username))
        assert outcome["status"] == "succeeded", (words, outcome)
        self.client.session(outcome)
        return outcome

    def _fails(self, words: str, code: str) -> None:
        outcome = self.client.login(person(words))
        assert outcome["status"] == "failed", (words, outcome)
        assert outcome["error"]["code"] == code, (words, outcome)

    def _asked(self, words: str) -> tuple[Json, str]:
        username = person(words)
        asked = self.client.login(username)
        assert asked["status"] == "mfa_required", (words, asked)
        return asked, self.garmin.code(username)

    def _code_fails(self, words: str, code: str) -> None:
        asked, right = self._asked(words)
        outcome = self.client.send_code(asked, right)
        assert outcome["error"]["code"] == code, (words, outcome)

    def _spelt_differently(self) -> None:
        outcome = self.client.login(f"  {person('plain').title()} ")
        assert outcome["status"] == "succeeded", outcome

    def _in_wide_letters(self) -> None:
        """Of which the account's hash is made as if they were plain ones."""
        wide = person("plain").replace("plain", "\uff50\uff4c\uff41\uff49\uff4e")
        assert self.client.login(wide)["status"] == "succeeded"

    def _wrong_password(self) -> None:
        refused = self.client.login(person("plain"), wrong_password())
        assert refused["error"]["code"] == "invalid_credentials", refused

    def _wrong_code_then_right(self) -> None:
        asked, right = self._asked("email")
        refused = self.client.send_code(asked, wrong_code())
        assert refused["error"]["code"] == "mfa_code_invalid", refused
        assert self.client.send_code(refused, right)["status"] == "succeeded"

    def _too_many_wrong_codes(self) -> None:
        asked, _ = self._asked("sms")
        codes = [self.client.send_code(asked, wrong_code())["error"]["code"] for _ in range(3)]
        assert codes[-1] == "mfa_attempts_exhausted", codes

    def _no_new_code_for_a_day(self) -> None:
        """Garmin's limit on codes: the last one that it sent still counts."""
        asked, right = self._asked("codelimit")
        refused = self.client.send_code(asked, wrong_code())
        assert refused["error"]["code"] == "garmin_rate_limited", refused
        assert self.client.send_code(refused, right)["status"] == "succeeded"

    def _expired_challenge(self) -> None:
        asked, right = self._asked("email")
        key = f"fittrack:challenge:{token_hash(asked['mfa_challenge_id'])}"
        assert self._redis.pexpire(key, 1)
        wait_until(lambda: not self._redis.exists(key))
        guess = {"challenge_id": asked["mfa_challenge_id"], "mfa_code": right}
        assert self._refused(CODE, **guess) == 404

    def _expired_at_garmin(self) -> None:
        asked, right = self._asked("codeexpired-sms")
        assert self.client.send_code(asked, right)["status"] == "failed"

    def _busy_challenge(self) -> None:
        asked, right = self._asked("codehang")
        job = self.client.submit_code(asked["mfa_challenge_id"], right)
        guess = {"challenge_id": asked["mfa_challenge_id"], "mfa_code": wrong_code()}
        assert self._refused(CODE, **guess) == 409
        assert self.client.wait(job)["status"] == "failed"

    def _busy_account(self) -> None:
        username = person("hang")
        job = self.client.submit_login(username)
        assert self._refused(LOGIN, username=username.upper(), password=PASSWORD) == 409
        outcome = self.client.wait(job)
        assert outcome["error"]["code"] == "garmin_unreachable", outcome

    def _too_many_failures(self) -> None:
        username = person("plain")
        for spelling in (username, username.upper(), username.title()):
            outcome = self.client.login(spelling, wrong_password())
            assert outcome["error"]["code"] == "invalid_credentials", outcome
        assert self._refused(LOGIN, username=username, password=PASSWORD) == 429

    def _too_many_codes(self) -> None:
        """For one challenge, which need not be one."""
        guess = {"challenge_id": token()}
        answers = [self._refused(CODE, **guess, mfa_code=wrong_code()) for _ in range(5)]
        assert answers == [404, 404, 404, 404, 429]

    def _refused(self, path: str, **body: str) -> int:
        return self.client.http.post(path, json=body).status_code

    def _log_out(self) -> None:
        self._delete("/api/session", self.sign_in("plain"))

    def _log_out_everywhere(self) -> None:
        self._delete("/api/sessions", self.sign_in("email"))

    def _unlink(self) -> None:
        self._delete("/api/garmin/tokens", self.sign_in("plain"))

    def _delete(self, path: str, signed_in: Json) -> None:
        headers = {"Authorization": f"Bearer {signed_in['access_token']}"}
        assert self.client.http.delete(path, headers=headers).status_code == 204
        assert self.client.http.get("/api/session", headers=headers).status_code == 401

    def _with_and_without_codes(self) -> None:
        at_once(
            *(partial(self.sign_in, words) for words in ("plain", "email", "sms")),
            partial(self._fails, "locked", "account_locked"),
            self._wrong_password,
            self._wrong_code_then_right,
            self._too_many_wrong_codes,
        )

    def _not_even_asked(self) -> None:
        """While every driver rests, that is told at once."""
        body = {"username": person("plain"), "password": PASSWORD}
        reply = self.client.http.post(LOGIN, json=body)
        assert reply.status_code == 503, reply.text
        assert reply.json()["unavailable"] == ["garmin"]

    def _refuse(self, clients: tuple[str, ...]) -> None:
        """Garmin refuses these, and all that it refused before may be tried again."""
        refusal = {"status": 403, "retry_after": 600}
        self.garmin.configure(refuse=dict.fromkeys(clients, refusal))
        for key in self._redis.scan_iter("fittrack:rest:*"):
            self._redis.delete(key)

    def _environment(self) -> dict[str, str]:
        home = str(self.stack.folder)
        return clean_environment({"HOME": home, "XDG_CONFIG_HOME": home})


def at_once(*flows: Callable[[], object]) -> None:
    """Each in a thread of its own. Raises what the first that failed raised."""
    with ThreadPoolExecutor(len(flows)) as pool:
        for begun in [pool.submit(flow) for flow in flows]:
            begun.result()
