"""The database's history: alembic revisions."""
