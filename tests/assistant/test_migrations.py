"""What the migrations make of an empty database is what the tables say; what a database has not seen is run."""

from __future__ import annotations

import re
from pathlib import Path

import databases
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from assistant import migrations
from assistant.accounts import Accounts
from assistant.store import Store, connect

ASSISTANT = Path(migrations.__file__).parents[1]


@pytest.fixture(params=databases.BOTH)
def engine(request, tmp_path):
    made = connect(databases.url_of(request.param) or f"sqlite:///{tmp_path / 'confide.db'}")
    yield made
    made.dispose()


def test_the_migrations_make_the_tables(engine):
    with engine.begin() as connection:
        migrations.run(connection, "upgrade", "head")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        difference = compare_metadata(context, migrations.tables())
    assert difference == [], 'a table changed: run `python -m assistant.migrations "what changed"` and set HEAD'


def test_the_head_is_the_last_file():
    with sa.create_engine("sqlite://").connect() as connection:
        assert ScriptDirectory.from_config(migrations.config(connection)).get_heads() == [migrations.HEAD]


def test_every_place_that_declares_tables_is_known():
    declared = {
        f"assistant.{'.'.join(path.relative_to(ASSISTANT).with_suffix('').parts)}:{name}"
        for path in ASSISTANT.rglob("*.py")
        for name in re.findall(r"^class (\w+)\(orm\.DeclarativeBase\)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert declared == set(migrations.BASES)


def test_a_migrated_database_keeps_its_log_from_changes(engine, tmp_path):
    with engine.begin() as connection:
        migrations.run(connection, "upgrade", "head")
    store = Store(engine.url.render_as_string(hide_password=False))
    Accounts(store, "default").log("account.add", "ada")
    store.close()
    with pytest.raises(sa.exc.DatabaseError, match="append-only"), engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM audit"))


def test_a_new_store_and_one_from_before_are_marked_and_an_older_one_is_brought_up(engine, monkeypatch):
    url = engine.url.render_as_string(hide_password=False)
    Store(url).close()
    with engine.begin() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == migrations.HEAD
        connection.execute(sa.text("DROP TABLE alembic_version"))
    Store(url).close()
    with engine.begin() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == migrations.HEAD
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
    ran = []
    monkeypatch.setattr(migrations, "run", lambda connection, *what: ran.append(what))
    Store(url).close()
    assert ran == [("upgrade", "head")]
