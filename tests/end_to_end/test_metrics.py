"""What a worker counts and times is seen in the API's metrics."""

from dev.simulator import Simulator
from tests.api.test_health import figures
from tests.end_to_end.client import Client
from tests.end_to_end.recorders import wait_until


def test_a_sign_in_with_a_code_is_counted_and_timed(client: Client, garmin: Simulator) -> None:
    client.login_with_code(garmin, "email-bob@example.com")

    def measured() -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
        return figures(client.http.get("/metrics").text)

    durations = "fittrack_job_duration_seconds_count"
    wait_until(lambda: (("kind", "mfa_completion"),) in measured().get(durations, {}))
    found = measured()
    assert found[durations] == {(("kind", "login"),): 1, (("kind", "mfa_completion"),): 1}
    assert found["fittrack_codes_sent_total"] == {(): 1}
    requests = found["fittrack_garmin_requests_total"]
    for step in ("login", "mfa", "oauth1", "oauth2", "profile"):
        assert requests[(("driver", "garth"), ("result", "ok"), ("step", step))] == 1
    seconds = found["fittrack_garmin_request_duration_seconds_count"]
    assert seconds[(("driver", "garth"), ("step", "login"))] == 1
