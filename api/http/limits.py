"""How often submissions are accepted, and the headers that tell a sender what remains.

The headers are those of the IETF's draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy` has a
quota (`q`) for each window (`w`, seconds), `RateLimit` what remains (`r`) and when the window has
room again (`t`, seconds).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from api.http.networks import NetworkLimit
from shared.origin import Origin
from shared.redis.rate_limits import RateLimit, Standing


@dataclass(frozen=True)
class SenderLimit:
    """An app that sent its key is one sender, wherever its servers are; others go by address."""

    per_client: RateLimit
    per_network: NetworkLimit

    def parts(self, origin: Origin) -> Iterator[tuple[RateLimit, str]]:
        """Each limit that applies, and whom it counts; the first one is told to the sender."""
        if origin.client_id is not None:
            yield self.per_client, str(origin.client_id)
        else:
            yield from self.per_network.parts(origin.address or "")


@dataclass(frozen=True)
class SubmissionLimits:
    login: SenderLimit
    code: SenderLimit
    code_per_challenge: RateLimit


def rate_limit_headers(standing: Standing) -> dict[str, str]:
    windows = [(f'"{standing.limit}-{w.seconds}s"', w) for w in standing.windows]
    return {
        "RateLimit-Policy": ", ".join(f"{name};q={w.quota};w={w.seconds}" for name, w in windows),
        "RateLimit": ", ".join(f"{name};r={w.remaining};t={w.reset}" for name, w in windows),
    }
