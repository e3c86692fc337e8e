"""A connection to PostgreSQL that waits for no answer without an end.

The server's own `statement_timeout` ends what takes too long there. It is of no use where the
server itself has stopped, or is gone without a word; libpq then waits for ever.
"""

from typing import Any

import psycopg
from psycopg.errors import OperationalError, _WaitTimeout

STATEMENT_SECONDS = 10
_ANSWER_SECONDS = 15.0


class PromptConnection(psycopg.Connection[Any]):
    """psycopg's. What was not answered in time raises OperationalError and closes it."""

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the library's
        kwargs.setdefault("timeout", _ANSWER_SECONDS)
        try:
            return super().wait(gen, *args, **kwargs)
        except _WaitTimeout:
            self.pgconn.finish()  # the answer may still come, and would be taken for another's
            message = "no answer in time"
            raise OperationalError(message) from None
