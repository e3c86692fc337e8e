"""A PostgreSQL connection on which every wait has a deadline.

The server's `statement_timeout` ends what takes too long there. It is of no use where the server
itself has stopped, or is gone without a word; libpq then waits for ever.
"""

from typing import Any

import psycopg
from psycopg.errors import OperationalError, _WaitTimeout


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection that raises OperationalError, and closes, when an answer is late."""

    answer_timeout = 15.0

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the library's
        kwargs.setdefault("timeout", self.answer_timeout)
        try:
            return super().wait(gen, *args, **kwargs)
        except _WaitTimeout:
            self.pgconn.finish()  # the answer may still come, and would be taken for another's
            raise OperationalError("no answer in time") from None


def connection_class(answer_timeout: float) -> type[DeadlineConnection]:
    """Return a connection class whose waits end after `answer_timeout` seconds."""
    return type("DeadlineConnection", (DeadlineConnection,), {"answer_timeout": answer_timeout})
