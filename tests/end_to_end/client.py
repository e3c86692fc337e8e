"""The service's own client, with its results as the JSON that docs/api.md shows.

`http` is for what is about HTTP itself.
"""

import time
from dataclasses import asdict
from typing import Any

import httpx

from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from fittrack_auth_client import (
    FitTrackAuth,
    Job,
    JobFailedError,
    JobInProgress,
    Secret,
    ServiceUnavailableError,
    ServiceUnreachableError,
    SubmittedJob,
)

Json = dict[str, Any]

PATIENCE = 150.0
"""Seconds until a job must have ended: longer than any deadline of the service."""


class Client:
    """`address` is one of 127.0.0.0/8 to connect from; by default 127.0.0.1."""

    def __init__(self, url: str, patience: float = PATIENCE, address: str | None = None) -> None:
        self._patience = patience
        any_number = httpx.Limits(max_connections=None)  # of threads that share the client
        transport = httpx.HTTPTransport(trust_env=False, limits=any_number, local_address=address)
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=45, transport=transport)
        self.auth = FitTrackAuth(url, timeout=45, max_retries=0, http_client=self.http)

    def close(self) -> None:
        self.http.close()

    def submit_login(self, username: str, password: str = PASSWORD, **more: str) -> Json:
        return _submitted(self.auth.submit_sign_in(username, password, **more))

    def submit_code(self, challenge_id: str, code: str) -> Json:
        return _submitted(self.auth.submit_code(challenge_id, code))

    def poll(self, job: Json, wait: int = 0) -> httpx.Response:
        headers = {"Authorization": f"Bearer {job['poll_token']}"}
        return self.http.get(job["status_url"], params={"wait": wait}, headers=headers)

    def wait(self, job: Json) -> Json:
        """Poll until the job has ended, through 503s and lost connections."""
        try:
            return _job(self.auth.wait(_handle(job, self._patience), timeout=self._patience))
        except JobFailedError as error:
            return _job(error.job)

    def wait_for_stage(self, job: Json, stage: str) -> None:
        """Poll often: a long poll misses a stage that is over before it is sent."""
        handle, ends_at = _handle(job, self._patience), time.monotonic() + self._patience
        state: Job | None = None
        while time.monotonic() < ends_at:
            try:
                state = self.auth.job(handle)
            except (ServiceUnreachableError, ServiceUnavailableError):
                time.sleep(0.2)
                continue
            if isinstance(state, JobInProgress) and state.stage == stage:
                return
            time.sleep(0.02)
        raise AssertionError(f"the job was never seen at {stage}: {state}")

    def login(self, username: str, password: str = PASSWORD, **more: str) -> Json:
        return self.wait(self.submit_login(username, password, **more))

    def send_code(self, asked: Json, code: str) -> Json:
        return self.wait(self.submit_code(asked["mfa_challenge_id"], code))

    def login_with_code(self, garmin: Simulator, username: str) -> Json:
        asked = self.login(username)
        assert asked["status"] == "mfa_required", asked
        return self.send_code(asked, garmin.code(username))

    def session(self, signed_in: Json) -> Json:
        return asdict(self.auth.session(signed_in["access_token"]))


def _submitted(job: SubmittedJob) -> Json:
    return {
        "job_id": job.job_id,
        "poll_token": job.poll_token.reveal(),
        "status_url": f"/api/jobs/{job.job_id}",
    }


def _handle(job: Json, patience: float) -> SubmittedJob:
    """For a wait of any length: a result may outlive what its submission promised."""
    job_id = job["status_url"].removeprefix("/api/jobs/")
    return SubmittedJob(job_id, Secret(job["poll_token"]), expires_in=int(patience))


def _job(job: Job) -> Json:
    fields = {k: v.reveal() if isinstance(v, Secret) else v for k, v in asdict(job).items()}
    challenge_id = fields.pop("challenge_id", None)
    if challenge_id is not None:
        fields["mfa_challenge_id"] = challenge_id
    return {**fields, "status": job.status, "success": job.status == "succeeded"}
