"""How the store's tables came to be what they are: one file a change, run by Alembic.

A new database is made from the tables themselves and marked as up to date; an older one is brought up by the files it
has not seen. Alembic is imported only then. A change of a table needs a file here: `python -m assistant.migrations
"what changed"` writes it, a test says when it is missing.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0001"
"""The last file's number."""
BASES = (
    "assistant.rows:Base",
    "assistant.deployments:_Base",
    "assistant.keys:_Base",
    "assistant.owners:_Base",
    "assistant.stock:_Base",
)
"""Where tables are declared."""
_VERSION = sa.Table(
    "alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True, nullable=False)
)


def bring_up(connection: sa.Connection) -> None:
    """Runs what an older database has not seen. One without a mark is new, or from before there were changes."""
    if not sa.inspect(connection).has_table(_VERSION.name):
        _VERSION.create(connection)
        connection.execute(sa.insert(_VERSION).values(version_num=HEAD))
        return
    if connection.scalar(sa.select(_VERSION.c.version_num)) != HEAD:
        run(connection, "upgrade", "head")


def run(connection: sa.Connection, command: str, *arguments: str) -> None:
    """One of Alembic's commands, on this connection."""
    from alembic import command as commands

    getattr(commands, command)(config(connection), *arguments)


def config(connection: sa.Connection) -> Config:
    """Alembic's settings for a connection."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def tables() -> sa.MetaData:
    """All tables of the product."""
    whole = sa.MetaData()
    for name in BASES:
        module, _, base = name.partition(":")
        declared: Any = getattr(importlib.import_module(module), base)
        for table in declared.metadata.tables.values():
            if table.name not in whole.tables:
                table.to_metadata(whole)
    return whole
