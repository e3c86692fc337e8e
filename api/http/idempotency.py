"""`Idempotency-Key`: lets a client send a submission again, as in the IETF's draft.

Redis keeps keyed hashes of the key and of the body to compare, so that a reader of Redis can't try
passwords against them.
"""

from starlette.requests import Request

from api.contract.problems import FieldFault
from api.contract.requests import IDEMPOTENCY_KEY
from api.http.errors import InvalidRequestError
from shared.crypto.keyring import Keyring
from shared.crypto.secret import Sealable
from shared.jobs.repeats import Repeatable
from shared.jobs.states import JobKind
from shared.origin import Origin

HEADER = "Idempotency-Key"


def repeatable(
    request: Request, keyring: Keyring, kind: JobKind, work: Sealable, origin: Origin
) -> Repeatable | None:
    """The hashes to compare, or None if the client sent no key. Raises InvalidRequestError.

    A key counts within one app and one endpoint.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not IDEMPOTENCY_KEY.fits(key):
        fault = FieldFault(loc=["header", HEADER], message=IDEMPOTENCY_KEY.message)
        raise InvalidRequestError(fault)
    name = "\0".join(("idempotency key", str(origin.client_id or ""), kind, key))
    body = "\0".join(("idempotent body", name, origin.client_user_id or "", work.reveal().decode()))
    return Repeatable(keyring.hash_name(name), keyring.hash_name(body))
