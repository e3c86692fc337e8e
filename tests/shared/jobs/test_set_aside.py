"""What no worker can take is kept for a while, not without end, and counted."""

import json

from shared.jobs.messages import MessageFault
from shared.jobs.set_aside import MOST, MOST_BYTES, SetAside
from shared.redis.connection import Redis


def test_the_newest_are_kept_and_all_are_counted(redis: Redis) -> None:
    set_aside = SetAside(redis)
    for number in range(MOST + 5):
        set_aside.add("login", MessageFault.NOT_JSON, f"poison {number}".encode())
    set_aside.add("mfa", MessageFault.BODY, b"\xff" * (2 * MOST_BYTES))
    kept = [json.loads(entry) for entry in redis.lrange("fittrack:set-aside", 0, -1)]
    assert len(kept) == MOST
    assert (kept[0]["queue"], kept[0]["fault"]) == ("mfa", "body")
    assert kept[0]["bytes"] == 2 * MOST_BYTES
    assert kept[0]["message"] == "\\xff" * MOST_BYTES
    assert kept[1]["message"] == f"poison {MOST + 4}"
    assert set_aside.counts() == {"not_json": MOST + 5, "body": 1}
    assert 0 < redis.ttl("fittrack:set-aside") <= 7 * 86_400
    assert redis.ttl("fittrack:set-aside:counts") > 0
