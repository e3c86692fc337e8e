"""A PostgreSQL connection on which every wait has a timeout.

The server's `statement_timeout` ends slow statements. It does not help where the server hangs or
its host disappears from the network: libpq then waits for ever.
"""

import select
from typing import Any

import psycopg
from psycopg.errors import OperationalError, _WaitTimeout


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection that closes and raises OperationalError if an answer takes too long."""

    answer_timeout = 15.0

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - psycopg's signature
        kwargs.setdefault("timeout", self.answer_timeout)
        try:
            return super().wait(gen, *args, **kwargs)
        except _WaitTimeout:
            self.pgconn.finish()  # a late answer would be read as that of the next statement
            raise OperationalError("no answer in time") from None

    def has_input(self) -> bool:
        """Return whether there is something to read: of an idle connection, mostly its end."""
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return bool(poll.poll(0))

    def answers(self) -> bool:
        """Return whether the server answers to an empty query."""
        autocommit = self.autocommit
        try:
            self.autocommit = True  # else the query would begin a transaction
            self.execute("")
            self.autocommit = autocommit
        except OperationalError:
            return False
        return True


def connection_class(answer_timeout: float) -> type[DeadlineConnection]:
    """Return a connection class whose waits end after `answer_timeout` seconds."""
    return type("DeadlineConnection", (DeadlineConnection,), {"answer_timeout": answer_timeout})
