"""`Idempotency-Key`: a submission that its client may send again, as in the IETF's draft.

What is kept to compare are keyed hashes of the key and of the body, so that nobody who reads Redis
can try passwords against them.
"""

import re

from starlette.requests import Request

from api.contract.models import FieldFault
from api.http.problems import invalid
from shared.crypto.keyring import Keyring
from shared.crypto.secret import Sealable
from shared.jobs.repeats import Repeatable
from shared.jobs.states import JobKind
from shared.origin import Origin

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def repeatable(
    request: Request, keyring: Keyring, kind: JobKind, work: Sealable, origin: Origin
) -> Repeatable | None:
    """None if the client sent no key. Raises ApiError 422 if it is none.

    A key counts within one app and one endpoint.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        message = "must be 1 to 255 visible ASCII characters"
        raise invalid([FieldFault(loc=["header", HEADER], message=message)])
    name = "\0".join(("idempotency key", str(origin.client_id or ""), kind, key))
    body = "\0".join(("idempotent body", name, origin.client_user_id or "", work.reveal().decode()))
    return Repeatable(keyring.hash_name(name), keyring.hash_name(body))
