"""`python -m assistant.migrations "what changed"`: writes the file that brings older databases to today's tables."""

from __future__ import annotations

import sys
from pathlib import Path

import sqlalchemy as sa

from assistant import migrations


def main(message: str) -> None:
    """Compares the tables with what the files make of an empty database, and writes the difference."""
    from alembic import command

    made = list((Path(migrations.__file__).parent / "versions").glob("0*.py"))
    number = f"{len(made) + 1:04}"
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        if made:
            migrations.run(connection, "upgrade", "head")
        command.revision(migrations.config(connection), message=message, autogenerate=True, rev_id=number)
    print(f"Written. Read it, run `ruff format` on it, and set HEAD = {number!r} in {migrations.__file__}.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit('python -m assistant.migrations "what changed"')
    main(sys.argv[1])
