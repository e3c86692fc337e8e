"""How often submissions are accepted, and the headers that tell a sender what remains.

The headers are those of the IETF's draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy` has a
quota (`q`) for each window (`w`, seconds), `RateLimit` what remains (`r`) and when the window has
room again (`t`, seconds).
"""

from dataclasses import dataclass

from shared.redis.rate_limits import RateLimit, Standing


@dataclass(frozen=True)
class SubmissionLimits:
    login_per_ip: RateLimit
    code_per_ip: RateLimit
    code_per_challenge: RateLimit


def rate_limit_headers(standing: Standing) -> dict[str, str]:
    windows = [(f'"{standing.limit}-{w.seconds}s"', w) for w in standing.windows]
    return {
        "RateLimit-Policy": ", ".join(f"{name};q={w.quota};w={w.seconds}" for name, w in windows),
        "RateLimit": ", ".join(f"{name};r={w.remaining};t={w.reset}" for name, w in windows),
    }
