"""A client of the service as its users write them: submits, long-polls, reads JSON."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD

Json = dict[str, Any]

PATIENCE = 150.0
"""Seconds until a job must have ended: longer than any deadline of the service."""


class Client:
    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self._patience = patience
        any_number = httpx.Limits(max_connections=None)  # of threads that share the client
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=45, limits=any_number)

    def close(self) -> None:
        self.http.close()

    def submit_login(self, username: str, password: str = PASSWORD, **more: str) -> Json:
        body = {"username": username, "password": password, **more}
        return self._submit("/api/garmin/login", body)

    def submit_code(self, challenge_id: str, code: str) -> Json:
        body = {"challenge_id": challenge_id, "mfa_code": code}
        return self._submit("/api/garmin/login/mfa-complete", body)

    def _submit(self, path: str, body: Json) -> Json:
        response = self.http.post(path, json=body)
        assert response.status_code == 202, response.text
        accepted: Json = response.json()
        return accepted

    def poll(self, job: Json, wait: int = 0) -> httpx.Response:
        headers = {"Authorization": f"Bearer {job['poll_token']}"}
        return self.http.get(job["status_url"], params={"wait": wait}, headers=headers)

    def wait(self, job: Json) -> Json:
        """Polls until the job has ended, through 503s and lost connections."""
        return self._wait(job, lambda body: body["status"] not in ("queued", "running"), wait=20)

    def wait_for_stage(self, job: Json, stage: str) -> None:
        """Asks often: a long poll answers only when the stage changes *after* it was sent."""
        self._wait(job, lambda body: body.get("stage") == stage, wait=0)

    def _wait(self, job: Json, reached: Callable[[Json], bool], wait: int) -> Json:
        ends_at = time.monotonic() + self._patience
        seen: Json = {}
        while time.monotonic() < ends_at:
            try:
                response = self.poll(job, wait=wait)
            except httpx.TransportError:
                time.sleep(0.2)
                continue
            if response.status_code == 503:
                time.sleep(0.2)
                continue
            assert response.status_code == 200, response.text
            seen = response.json()
            if reached(seen):
                return seen
            time.sleep(0.0 if wait else 0.02)
        raise AssertionError(f"the job did not get there: {seen}")

    def login(self, username: str, password: str = PASSWORD, **more: str) -> Json:
        return self.wait(self.submit_login(username, password, **more))

    def send_code(self, asked: Json, code: str) -> Json:
        return self.wait(self.submit_code(asked["mfa_challenge_id"], code))

    def login_with_code(self, garmin: Simulator, username: str) -> Json:
        asked = self.login(username)
        assert asked["status"] == "mfa_required", asked
        return self.send_code(asked, garmin.code(username))

    def session(self, signed_in: Json) -> Json:
        headers = {"Authorization": f"Bearer {signed_in['access_token']}"}
        response = self.http.get("/api/session", headers=headers)
        assert response.status_code == 200, response.text
        found: Json = response.json()
        return found
