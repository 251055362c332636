"""How alembic reaches the database: through the connection that `activities.database.migrate` hands it."""

from alembic import context
from sqlmodel import SQLModel

import models.tables  # noqa: F401  (fills the metadata)

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    compare_type=True,
    render_as_batch=True,
    # On PostgreSQL workers go on meanwhile: what one migration locks is free before the next one begins.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
