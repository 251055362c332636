"""Locks on tables that workers are at work on, taken so that nobody waits long and nobody is killed."""

from alembic import op
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

PATIENCE = 2_000
"""So many milliseconds a lock is waited for: whoever writes meanwhile waits behind."""
PAUSE = 1.0
"""Seconds until the next try, in which the others write."""
TRIES = 60
NOT_AVAILABLE = "55P03"


def take_alone(table: str) -> None:
    """Take a table for this transaction alone, before it has locked anything else.

    A transaction that holds a weaker lock and asks for a stronger one closes a ring with a worker that has
    read the table for update and then writes, and PostgreSQL kills one of the two. SQLite has one writer.

    RuntimeError where others keep the table for minutes.
    """
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    connection.execute(text(f"SET LOCAL lock_timeout = {PATIENCE}"))
    for _ in range(TRIES):
        if _taken(connection, table):
            return
        connection.execute(text(f"SELECT pg_sleep({PAUSE})"))
    raise RuntimeError(
        f"the table {table} is in use all the time: end what keeps it (a backup, a long query; see"
        " pg_stat_activity) and start again"
    )


def _taken(connection: Connection, table: str) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != NOT_AVAILABLE:
            raise
        return False
    return True
