"""What Alembic runs: our connection, our tables. It is no module of the product."""

from alembic import context

from assistant import migrations

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=migrations.tables(),
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
